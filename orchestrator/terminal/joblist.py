"""The list of jobs and deployments: what is on it, and how it is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from orchestrator.terminal.desk import Desk
from orchestrator.terminal.listing import ROW, SPARE, costs, rows
from orchestrator.terminal.output import Screen

if TYPE_CHECKING:
    from orchestrator.deploy.known import Known
    from orchestrator.jobs.glance import Glance
    from orchestrator.jobs.records import Record


@dataclass
class JobList:
    """What is listed."""

    jobs: list[Glance]
    deployed: list[Known] = field(default_factory=list)
    remote: dict[str, Record] = field(default_factory=dict)
    """Jobs among them that are on no record here, by id."""

    unanswered: list[str] = field(default_factory=list)
    asked: bool = True
    """Whether everybody has been asked."""

    @property
    def as_of_now(self) -> bool:
        """Whether everybody who was asked has answered."""
        asked = (
            *(not j.unanswered for j in self.jobs),
            *(d.now is not None for d in self.deployed),
        )
        return self.asked and all(asked) and not self.unanswered


def say(desk: Desk, screen: Screen, shown: JobList, *, offline: bool) -> None:
    """Print the list: what costs first."""
    now, jobs, deployed = desk.clock.now(), shown.jobs, shown.deployed
    if not (jobs or deployed):
        screen.say("No jobs yet. Start one with `hubtrain TASK --train …`.")
    elif costing := costs(jobs, [one.costs for one in deployed if one.costs]):
        screen.say(costing, "")
    elif shown.as_of_now and not offline:
        screen.say("Nothing costs now.", "")
    if jobs:
        screen.table(ROW, rows(jobs, now), spare=SPARE)
    if deployed:
        from orchestrator.terminal.deployments import DEPLOYED

        screen.table(DEPLOYED, [one.row for one in deployed], spare=("ON", "MODEL"))
    if shown.remote:
        screen.say("", "On no record here; a handle is enough to follow one or to stop it:")
        screen.say(*(f"  hubtrain logs -f {one.story.handle}" for one in shown.remote.values()))
    _say_why(screen, shown)


def documents(desk: Desk, shown: JobList) -> Iterator[dict[str, Any]]:
    """Yield the list for `--json`, each job read when it is its turn: there may be ten thousand."""
    jobs = (document(desk, job, shown.remote.get(job.job_id)) for job in shown.jobs)
    return chain(jobs, (one.document.model_dump() for one in shown.deployed))


def document(desk: Desk, job: Glance, record: Record | None = None) -> dict[str, Any]:
    """Return all that is known of a job; `record` is that of one which is on none here."""
    from orchestrator.jobs.summary import summary

    record = record or desk.records.get(job.job_id)
    return summary(replace(record, unanswered=job.unanswered), desk.clock.now())


def _say_why(screen: Screen, shown: JobList) -> None:
    """Say what could not be asked, and which jobs, once for each reason."""
    from worker.finding import Finding

    reasons = dict.fromkeys(job.unanswered for job in shown.jobs if job.unanswered)
    named = [
        f"{', '.join(j.job_id for j in shown.jobs if j.unanswered == reason)}: {reason}"
        for reason in reasons
    ]
    deployed = [
        f"{one.record.handle}: {one.unanswered}" for one in shown.deployed if one.unanswered
    ]
    unasked = (*named, *deployed, *shown.unanswered)
    screen.findings(Finding("warn", "not asked", text) for text in unasked)
