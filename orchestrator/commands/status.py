"""`hubtrain status`: one job, explained."""

from __future__ import annotations

import click

from orchestrator.desk import Desk
from orchestrator.ending import ending
from orchestrator.follow import page_of
from orchestrator.listing import summary
from orchestrator.stages import training_note


@click.command("status")
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(job: str, as_json: bool) -> int:  # noqa: N802
    """Say how a job is, or how it ended and why.

    JOB is the job's id, the start of it, or its handle. Exits 0 unless the job failed.
    """
    desk = Desk(as_json)
    record = desk.refreshed(desk.record(job))
    now = desk.clock.now()
    story = record.story
    desk.screen.document(summary(record, now))
    desk.screen.say(f"{record.job_id}  {record.spec.project}  {story.handle or 'not launched'}")
    desk.screen.say(*ending(record, now))
    if not story.state.final:
        desk.screen.say(
            *filter(None, (story.phase, training_note(record, now), page_of(desk, record)))
        )
    return 1 if story.state.final and story.reason not in {"ok", "user"} else 0
