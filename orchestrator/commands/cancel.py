"""`hubtrain cancel`: stop a job and what it costs."""

from __future__ import annotations

import click

from orchestrator.desk import Desk
from orchestrator.ending import ending
from orchestrator.listing import summary


@click.command("cancel")
@click.argument("jobs", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(jobs: tuple[str, ...], as_json: bool) -> int:  # noqa: N802
    """Stop jobs and their machines; one that has ended is left as it is.

    Exits 0 once nothing of them costs any more.
    """
    desk = Desk(as_json)
    stopped = []
    for name in jobs:
        record = desk.watch(desk.record(name)).cancel()
        desk.screen.say(
            f"{record.job_id}  {record.spec.project}", *ending(record, desk.clock.now())
        )
        stopped.append(record)
    now = desk.clock.now()
    desk.screen.document([summary(r, now) for r in stopped])
    return 1 if any(r.story.costing for r in stopped) else 0
