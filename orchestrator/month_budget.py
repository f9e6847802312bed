"""Money before a job: whether the month's budget allows it, and what earlier runs really took."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import datetime

from orchestrator.jobs.glance import Glance
from orchestrator.jobs.spending import Month, budget, month
from orchestrator.preflight.pace import History, Run, history
from orchestrator.preflight.report import CheckReport
from orchestrator.words import money
from worker.contract import State
from worker.errors import HubtrainError
from worker.finding import Finding

_NOISE = 1e-6
"""US dollars by which sums may be off."""


class OverBudget(HubtrainError):
    """The month's budget does not allow a job; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text, fix=finding.fix)
        self.finding = finding


def runs(jobs: Iterable[Glance], now: datetime) -> History:
    """Return what those of this laptop's jobs took that succeeded; newest first, as they are."""
    return history(
        Run(
            task=job.kind,
            backend=job.backend,
            flavor=job.flavor,
            parameters=job.parameters,
            expected_minutes=job.plain_minutes,
            minutes=job.seconds(now) / 60,
        )
        for job in jobs
        if job.state == State.SUCCEEDED and job.plain_minutes
    )


def over_budget(
    jobs: Iterable[Glance], now: datetime, report: CheckReport, without: Collection[str] = ()
) -> Finding | None:
    """Return why the month's budget does not allow a checked job; none where it does.

    `jobs` are those of this laptop, removed ones among them; those called `without` are not
    counted: the job itself may be running already.
    """
    most = budget()
    if most is None or not report.facts or not report.facts.flavor.usd_per_hour:
        return None
    this = report.facts.estimate.usd_at_most
    spent = month(jobs, now, without)
    if spent.spent + spent.pending + this <= most + _NOISE:
        return None
    return _refusal(spent, this, most, report.facts.estimate.usd.low)


def _refusal(spent: Month, this: float, most: float, least: float) -> Finding:
    parts = [f"{money(spent.spent)} spent in {spent.name}"]
    if spent.pending:
        parts.append(f"{money(spent.pending)} that running jobs may still cost")
    parts.append(f"{money(this)} for this one at most")
    total = spent.spent + spent.pending + this
    left = most - spent.spent - spent.pending
    cents = math.floor((left + _NOISE) * 100)
    fixes = [f"--max-cost {cents / 100:.2f}"] if cents and cents / 100 >= least else []
    if total > most + 1 or not fixes:
        fixes.append(f"hubtrain cost --budget {math.ceil(total)}")
    text = f"the budget of {money(most)} a month would be broken: {', '.join(parts)}"
    return Finding("error", "price", text, " bounds it, or ".join(fixes))
