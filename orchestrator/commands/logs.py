"""`hubtrain logs`: what a job printed."""

from __future__ import annotations

from collections.abc import Iterator

import click

from orchestrator.archive import archived_log
from orchestrator.desk import Desk
from orchestrator.follow import detachable, follow
from orchestrator.records import Record
from worker.contract import from_line, to_line
from worker.task import Finding


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
    with detachable(desk, record):
        watching = following and not (events or as_json)
        if not watching or record.ended:
            _print(desk, _lines(desk, record, following), events=events)
        return follow(desk, record, lines=True) if watching else 0


def _lines(desk: Desk, record: Record, following: bool) -> Iterator[str]:
    """Yield what the machine has printed; where it is gone, what it left elsewhere."""
    watch, none = desk.watch(record), True
    for line in watch.backend.logs(watch.handle, follow=following):
        none = False
        yield line
    if none:
        yield from archived_log(record.spec, desk.token, desk.clock) or watch.backend.build_logs(
            watch.handle
        )
        yield from map(to_line, desk.refreshed(record).events)


def _print(desk: Desk, lines: Iterator[str], *, events: bool) -> None:
    printed = 0
    for line in lines:
        event = from_line(line)
        if desk.as_json:
            desk.screen.document({"line": line} if event is None else event.model_dump(mode="json"))
        elif events == (event is not None):
            desk.screen.plain(line)
        printed += events == (event is not None)
    if not printed and not desk.as_json:
        text = "nothing is left of its output, or nothing has come yet"
        desk.screen.findings([Finding("warn", "logs", text, "hubtrain logs --events JOB")])
