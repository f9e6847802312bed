"""A job from the command line: the flow's steps, each shown as it comes."""

from __future__ import annotations

from typing import Any, Protocol

import click

from orchestrator import flow
from orchestrator.exits import MENDABLE
from orchestrator.flow import AlreadyDone, Checked, Planned, Refused
from orchestrator.job_request import JobRequest
from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import Submitted
from orchestrator.jobs.summary import summary
from orchestrator.settings.layers import Settings
from orchestrator.terminal.after import AfterTraining
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.follow import close, detachable, follow, unlaunched
from orchestrator.words import count, money
from worker.duration import duration
from worker.task import Finding, Task


class Afterwards(Protocol):
    """What is to be done once a job has succeeded."""

    def possible(self, desk: Desk, checked: Checked, *, detach: bool) -> bool:
        """Say, before the job is launched, whether it can be done; false, or an error, if not."""
        ...

    def plan(self) -> str:
        """Return it as a step of the plan; empty where nothing of it needs to be said there."""
        ...

    def follow(self, desk: Desk, record: Record) -> int:
        """Do it, and return the exit code."""
        ...


def train(
    desk: Desk,
    task: Task[Any],
    settings: Settings,
    *,
    dry_run: bool,
    detach: bool,
    deploys: bool = False,
    confirm: bool = False,
) -> int:
    """Check, pack, launch and watch a job; returns the exit code.

    With `deploys` the model that comes of it is deployed; whether it can be is checked first. With
    `confirm` the user is asked before anything is rented.
    """
    with desk.screen.one_document():
        asked = flow.ask(desk, task, settings)
        after = AfterTraining.of(settings, task, asked.job) if deploys else None
        return run(desk, asked, dry_run=dry_run, detach=detach, after=after, confirm=confirm)


def run(
    desk: Desk,
    asked: JobRequest,
    *,
    dry_run: bool,
    detach: bool,
    after: Afterwards | None = None,
    confirm: bool = False,
) -> int:
    """Check, pack, launch and watch a job that is asked for; returns the exit code."""
    checked = passed(desk, asked)
    if checked is None:
        return MENDABLE
    if example := checked.report.known.data.example:
        desk.screen.example(example)
    possible = after is None or after.possible(desk, checked, detach=detach)
    if not possible or (confirm and not dry_run and not _may_rent(desk, checked)):
        return MENDABLE
    go_on = flow.plan if dry_run else flow.submit
    with unlaunched(desk), desk.screen.stages() as stages:
        outcome = go_on(desk, checked, stages)
    match outcome:
        case Refused():
            return refused(desk, outcome)
        case Planned():
            return _planned(desk, outcome, after.plan() if after else "")
        case AlreadyDone(record):
            code = already_done(desk, outcome)
        case Submitted(record):
            code = _submitted(desk, outcome, detach=detach)
    if after and not detach and code == 0:  # the job may have been removed since its end
        return after.follow(desk, desk.records.find(record.job_id) or record)
    return code


def passed(desk: Desk, asked: JobRequest) -> Checked | None:
    """Check a job and show what is found; none if it is refused, which is said then."""
    with desk.screen.waiting("Checking") as on_step:
        checked = flow.check(desk, asked, on_step)
    desk.screen.say(f"Checked in {duration(checked.report.seconds)}, nothing rented")
    if isinstance(checked, Refused):
        refused(desk, checked)
        return None
    desk.screen.findings(checked.report.findings)
    return checked


def _may_rent(desk: Desk, checked: Checked) -> bool:
    """Ask whether what costs may be rented; yes where nothing costs."""
    if not checked.report.flavor.usd_per_hour:
        return True
    estimate, where = checked.report.estimate, checked.asked.job.backend
    costs = f"{money(estimate.usd.expected)} expected, {money(estimate.usd_at_most)} at most"
    may = click.confirm(f"  Rent {where}: {costs}?", default=False)
    if not may:
        desk.screen.say("Nothing was created.")
    return may


def refused(desk: Desk, refused: Refused) -> int:
    """Say what is wrong."""
    desk.screen.findings(refused.new)
    wrong = sum(f.level == "error" for f in refused.report.findings)
    desk.screen.say(f"{count(wrong, 'thing')} to mend. Nothing was created.")
    if desk.as_json:
        from orchestrator.api.errors import refusal

        desk.screen.document(refusal(refused.report).model_dump())
    return MENDABLE


def already_done(desk: Desk, done: AlreadyDone) -> int:
    """Tell the good end of a job that is asked for once more."""
    text = f"this very job has been done as {done.record.job_id}; nothing new is launched"
    fix = "to do it again: the same command with --overwrite"
    desk.screen.findings([Finding("warn", "job", text, fix)])
    return close(desk, done.record)


def _planned(desk: Desk, planned: Planned, then: str = "") -> int:
    desk.screen.say("", "The plan; nothing was created:", *planned.plan.lines())
    if then:
        desk.screen.say(then)
    desk.screen.document({"report": planned.report.to_json(), **planned.plan.to_json()})
    return 0


def _submitted(desk: Desk, submitted: Submitted, *, detach: bool) -> int:
    record = submitted.record
    if submitted.existed:
        there = f"this very job is already there as {record.job_id}; nothing new is launched"
        desk.screen.findings([Finding("warn", "job", there)])
    if detach:
        desk.screen.say(f"Launched as {record.job_id}: {submitted.handle}")
        desk.screen.say(f"watch it   hubtrain logs -f {record.job_id}")
        desk.screen.document(summary(record, desk.clock.now()))
        return 0
    with detachable(desk, record):
        return follow(desk, record)
