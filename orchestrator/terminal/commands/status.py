"""`hubtrain status`: one job, explained."""

from __future__ import annotations

import click

from orchestrator import completing
from orchestrator.exits import FAILED
from orchestrator.jobs.summary import summary
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.ending import ending
from orchestrator.terminal.listing import unconfirmed
from orchestrator.terminal.named import sweep_named
from orchestrator.terminal.stages import training_note
from orchestrator.words import clock_time
from worker.task import Finding


@click.command("status")
@click.argument("job", shell_complete=completing.jobs)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(job: str, as_json: bool) -> int:  # noqa: N802
    """Say how a job, sweep or deployment is or ended.

    JOB is the job's id, the start of it, its project's name, `latest`, or its handle; or the name
    of a sweep; or the handle or name of a deployment. Exits 0 unless it failed, is gone, or could
    not be asked.
    """
    desk = Desk(as_json)
    if (handle := desk.deployment(job)) is not None:
        from orchestrator.terminal import deployments

        return deployments.status(desk, handle)
    if (sweep := sweep_named(desk, job)) is not None:
        from orchestrator.terminal import sweeps

        return sweeps.status(desk, sweep)
    record = desk.refreshed(desk.record(job))
    now = desk.clock.now()
    known, story = record.known_at(now), record.story
    desk.screen.document(summary(record, now))
    desk.screen.say(f"{record.job_id}  {record.spec.project}  {story.handle or 'not launched'}")
    desk.screen.say(*ending(record, known))
    if story.cancel_asked_at and not story.state.final:
        desk.screen.say(f"to be cancelled since {clock_time(story.cancel_asked_at, now)}")
    if not story.state.final:
        desk.screen.say(
            *filter(None, (story.phase, training_note(record, known), desk.page(record)))
        )
    if record.unanswered:
        desk.screen.findings([Finding("warn", "not asked", unconfirmed(record, now))])
        return FAILED
    return FAILED if story.state.final and story.reason not in {"ok", "user"} else 0
