"""`hubtrain jobs`: every job this laptop knows, as its provider knows it now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from orchestrator.terminal.desk import Desk
from orchestrator.terminal.exits import FAILED
from orchestrator.terminal.listing import ROW, costs, rows

if TYPE_CHECKING:
    from orchestrator.deploy.known import Known
    from orchestrator.jobs.glance import Glance
    from orchestrator.jobs.records import Record

_DAYS = 7


@click.command("jobs")
@click.option("--all", "-a", "everything", is_flag=True, help="Also those of more than a week ago.")
@click.option("--remote", is_flag=True, help="Also those this laptop never knew, by their tag.")
@click.option("--username", "owners", multiple=True, help="Account for --remote; yours by default.")
@click.option("--offline", is_flag=True, help="Ask no provider; show what was known last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(  # noqa: N802
    everything: bool, remote: bool, owners: tuple[str, ...], offline: bool, as_json: bool
) -> int:
    """List jobs and deployments, and what costs now.

    Of each its state, how far it is, what it measures and what it cost. Exits 0 if all that is
    shown is as of now, or --offline asked for no more.
    """
    if offline and (remote or owners):
        raise click.UsageError("--offline asks nobody, and --remote asks for what is unknown here")
    desk = Desk(as_json)
    jobs, now = desk.glances(), desk.clock.now()
    jobs = [job for job in jobs if everything or _recent(job, now)]
    shown = Shown(jobs if offline else desk.asked(jobs))
    if not offline:
        shown.deployed = _deployed(desk)
    if remote or owners:
        _find(desk, owners, shown, everything=everything)
    _show(desk, shown, offline=offline)
    return 0 if shown.as_of_now else FAILED


@dataclass
class Shown:
    """What is listed."""

    jobs: list[Glance]
    deployed: list[Known] = field(default_factory=list)
    remote: dict[str, Record] = field(default_factory=dict)
    """Jobs among them that are on no record here, by id."""

    unanswered: list[str] = field(default_factory=list)

    @property
    def as_of_now(self) -> bool:
        asked = (
            *(not j.unanswered for j in self.jobs),
            *(d.now is not None for d in self.deployed),
        )
        return all(asked) and not self.unanswered


def _recent(job: Glance, now: datetime) -> bool:
    return not job.settled or job.age(now).days < _DAYS


def _find(desk: Desk, owners: tuple[str, ...], shown: Shown, *, everything: bool) -> None:
    """Add the jobs that this laptop never knew."""
    from orchestrator.jobs.remote import remote
    from orchestrator.jobs.seen import glance_of

    found, now = remote(desk, owners), desk.clock.now()
    seen = [(record, glance_of(record)) for record in found.jobs]
    new = [pair for pair in seen if everything or _recent(pair[1], now)]
    shown.jobs = [*shown.jobs, *(glance for _, glance in new)]
    shown.remote = {record.job_id: record for record, _ in new}
    shown.unanswered = found.unanswered


def _deployed(desk: Desk) -> list[Known]:
    if not desk.has_deployed:
        return []
    from orchestrator.terminal.deployments import deployments

    return deployments(desk)


def _show(desk: Desk, shown: Shown, *, offline: bool) -> None:
    now, jobs, deployed = desk.clock.now(), shown.jobs, shown.deployed
    if desk.as_json:
        desk.screen.documents(chain(_documents(desk, shown), (d.document for d in deployed)))
        return
    if not (jobs or deployed):
        desk.screen.say("No jobs yet. Start one with `hubtrain TASK --train …`.")
    elif costing := costs(jobs, [one.costs for one in deployed if one.costs]):
        desk.screen.say(costing, "")
    elif shown.as_of_now and not offline:
        desk.screen.say("Nothing costs now.", "")
    if jobs:
        desk.screen.table(ROW, rows(jobs, now))
    if deployed:
        from orchestrator.terminal.deployments import DEPLOYED

        desk.screen.table(DEPLOYED, [one.row for one in deployed])
    if shown.remote:
        desk.screen.say("", "On no record here; a handle is enough to follow one or to stop it:")
        desk.screen.say(
            *(f"  hubtrain logs -f {one.story.handle}" for one in shown.remote.values())
        )
    _say_why(desk, shown)


def _documents(desk: Desk, shown: Shown) -> Iterator[dict[str, Any]]:
    """Yield the jobs, each read when it is its turn: there may be ten thousand."""
    from orchestrator.jobs.summary import summary

    now = desk.clock.now()
    records = ((shown.remote.get(j.job_id) or desk.records.get(j.job_id), j) for j in shown.jobs)
    for record, job in records:
        yield summary(replace(record, unanswered=job.unanswered), now)


def _say_why(desk: Desk, shown: Shown) -> None:
    """Say what could not be asked, and which jobs, once for each reason."""
    from worker.finding import Finding

    reasons = dict.fromkeys(job.unanswered for job in shown.jobs if job.unanswered)
    named = [
        f"{', '.join(j.job_id for j in shown.jobs if j.unanswered == reason)}: {reason}"
        for reason in reasons
    ]
    unasked = (*named, *shown.unanswered)
    desk.screen.findings(Finding("warn", "not asked", text) for text in unasked)
