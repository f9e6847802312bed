"""What jobs have cost, summed up: by month, project, machine, task, sweep or each by itself.

Those that were removed are among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from orchestrator.document import Document
from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.spending import Month, budget, month, month_of

GROUPS: dict[str, Callable[[Glance], str]] = {
    "month": lambda job: month_of(job.created_at) if job.created_at else "-",
    "project": lambda job: job.project,
    "backend": lambda job: job.backend if job.flavor in {None, job.backend} else _machine(job),
    "task": lambda job: job.kind,
    "sweep": lambda job: job.sweep or "-",
    "job": lambda job: job.job_id,
}
"""By what jobs may be summed up, and how each is called then."""


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs that belong together, and their money in US dollars."""

    group: str
    """The month as `2026-11`, the project, the machine, …"""

    jobs: int
    seconds: float
    usd: float
    expected_usd: float | None
    """What those that succeeded were expected to cost; none where nothing was told of any."""

    took_usd: float | None
    """What these same jobs have cost."""

    ratio: float | None
    """How much was paid of what was expected; none where that is nothing."""


class Ledger(Document):
    """What jobs have cost."""

    by: str
    lines: list[Line]
    """Months newest first, else dearest first."""

    month: Month
    """The present month, of all jobs."""

    budget_usd: float | None
    """What a month may cost; none where no budget is set."""

    unanswered: tuple[str, ...] = ()
    """Running jobs whose provider could not be asked: they are counted as last known."""


def ledger(
    client: Client, by: str, only: str | None = None, *, offline: bool = False
) -> tuple[Ledger, list[Glance]]:
    """Return what jobs have cost, of all months or of one alone, and the jobs that are counted.

    Providers are asked about those that run, unless it is to be `offline`.
    """
    known = client.glances()
    everything = client.charged(known if offline else client.asked(known))
    now = client.clock.now()
    jobs = [j for j in everything if only in {None, GROUPS["month"](j)} and j.started_at]
    found = Ledger(
        by=by,
        lines=lines(jobs, by, now),
        month=month(everything, now),
        budget_usd=budget(),
        unanswered=tuple(job.job_id for job in everything if job.unanswered),
    )
    return found, jobs


def lines(jobs: Iterable[Glance], by: str, now: datetime) -> list[Line]:
    """Return the jobs summed up, in the order of `by`: months newest first, else dearest first."""
    groups: dict[str, list[Glance]] = {}
    for job in jobs:
        groups.setdefault(GROUPS[by](job), []).append(job)
    found = [_line(group, members, now) for group, members in groups.items()]
    if by == "month":
        return sorted(found, key=lambda line: line.group, reverse=True)
    return sorted(found, key=lambda line: line.usd, reverse=True)


def _line(group: str, jobs: list[Glance], now: datetime) -> Line:
    told = [j for j in jobs if j.usd_expected and j.state == "succeeded"]
    expected = round(sum(j.usd_expected or 0.0 for j in told), 4) if told else None
    took = round(sum(j.usd(now) for j in told), 4) if told else None
    return Line(
        group=group,
        jobs=len(jobs),
        seconds=round(sum(j.seconds(j.known_at(now)) for j in jobs), 1),
        usd=round(sum(j.usd(j.known_at(now)) for j in jobs), 4),
        expected_usd=expected,
        took_usd=took,
        ratio=took / expected if took and expected else None,
    )


def _machine(job: Glance) -> str:
    return f"{job.backend}-{job.flavor}"
