"""`hubtrain logs`: what the trainer printed."""

from __future__ import annotations

import click

from orchestrator.desk import Desk
from orchestrator.follow import detachable, follow
from worker.contract import from_line


@click.command("logs")
@click.argument("job")
@click.option("--follow", "-f", "following", is_flag=True, help="Stay until the job ends.")
@click.option("--events", is_flag=True, help="Print the job's events instead of its output.")
@click.option("--json", "as_json", is_flag=True, help="Print events and lines as JSON, one a line.")
def COMMAND(job: str, following: bool, events: bool, as_json: bool) -> int:  # noqa: N802
    """Print a job's output, or watch it with -f.

    JOB is the job's id, the start of it, or its handle. Ctrl-C leaves the job running.
    """
    desk = Desk(as_json)
    record = desk.record(job)
    if following and not (events or as_json):
        with detachable(desk, record):
            return follow(desk, record)
    watch = desk.watch(record)
    for line in watch.backend.logs(watch.handle, follow=following):
        event = from_line(line)
        if as_json:
            desk.screen.document(
                {"line": line} if event is None else event.model_dump(exclude_none=True)
            )
        elif events == (event is not None):
            desk.screen.plain(line)
    return 0
