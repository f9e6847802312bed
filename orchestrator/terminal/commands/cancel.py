"""`hubtrain cancel`: stop a job and what it costs."""

from __future__ import annotations

from dataclasses import replace

import click

from backends.errors import JobGone
from backends.handle import Handle
from orchestrator import completing
from orchestrator.deploy.documents import Deployment
from orchestrator.exits import FAILED
from orchestrator.jobs.records import Record
from orchestrator.jobs.summary import summary
from orchestrator.sweep.spec import halt
from orchestrator.terminal.deployments import pause
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.ending import ending
from orchestrator.terminal.listing import unconfirmed
from orchestrator.terminal.named import trials_of
from worker.errors import HubtrainError
from worker.task import Finding


@click.command("cancel")
@click.argument("jobs", nargs=-1, required=True, shell_complete=completing.running)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(jobs: tuple[str, ...], as_json: bool) -> int:  # noqa: N802
    """Stop jobs and their machines, sweeps, deployments.

    Of a sweep all trials stop, and no further one is begun. A job that has ended is left as it is.
    The wish is noted first; that a job is cancelled is said once it is known. A deployment stops
    until it is deployed again. Exits 0 if all of them have ended and cost nothing.
    """
    desk = Desk(as_json)
    deployed = {name: handle for name in jobs if (handle := desk.deployment(name))}
    named = [record for name in jobs if name not in deployed for record in _named(desk, name)]
    watches = [desk.watch(record) for record in named]
    asked = []
    for watch in watches:
        record, problem = watch.cancel(), watch.problem
        record = replace(record, unanswered=problem.message) if problem else record
        _tell(desk, record)
        asked.append(record)
    paused = [_paused(desk, handle) for handle in deployed.values()]
    now = desk.clock.now()
    desk.screen.document([*(summary(r, now) for r in asked), *(p.model_dump() for p in paused)])
    over = all(map(_over, asked)) and not any(one.costing or one.problem for one in paused)
    return 0 if over else FAILED


def _named(desk: Desk, name: str) -> list[Record]:
    """Return the job of this name, or the trials of the sweep that have not ended."""
    trials = [desk.records.get(one) for one in trials_of(desk, name)]
    if not trials:
        return [desk.record(name)]
    halt(name)
    going = [trial for trial in trials if not trial.settled]
    if not going:
        desk.screen.say(f"{name}: all of its {len(trials)} trials have ended")
    return going


def _paused(desk: Desk, handle: Handle) -> Deployment:
    """Stop a deployment, and return what became of it; one that cannot be stopped may cost."""
    try:
        return pause(desk, handle)
    except HubtrainError as error:
        desk.screen.findings([Finding("error", "cancel", f"{handle}: {error.message}", error.fix)])
        costs = not isinstance(error, JobGone)
        return Deployment(deployment=str(handle), costing=costs, problem=error.message)


def _over(record: Record) -> bool:
    story = record.story
    return story.state.final and not record.unanswered and not (story.handle and story.costing)


def _tell(desk: Desk, record: Record) -> None:
    now = desk.clock.now()
    desk.screen.say(
        f"{record.job_id}  {record.spec.project}", *ending(record, record.known_at(now))
    )
    if record.unanswered:
        desk.screen.findings([Finding("warn", "not asked", unconfirmed(record, now))])
    if not record.story.state.final:
        text = "it is not known to have stopped; that you want it to is noted"
        fix = f"hubtrain cancel {record.job_id}"
        desk.screen.findings([Finding("warn", "cancel", text, fix)])
