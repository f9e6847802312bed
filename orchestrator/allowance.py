"""Money before a job: whether the month's budget allows it, and what earlier runs really took."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from orchestrator.jobs.glance import Glance
from orchestrator.jobs.spending import Month, budget, month
from orchestrator.preflight.pace import History, Run, history
from orchestrator.preflight.report import CheckReport
from orchestrator.words import money
from worker.contract import State
from worker.finding import Finding


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

    `jobs` are those of this laptop; those called `without` are not counted: the job itself may be
    running already.
    """
    most = budget()
    if most is None or not report.facts or not report.facts.flavor.usd_per_hour:
        return None
    this = report.facts.estimate.usd_at_most
    spent = month(jobs, now, without)
    if spent.spent + spent.pending + this <= most:
        return None
    return _refusal(spent, this, most)


def _refusal(spent: Month, this: float, most: float) -> Finding:
    parts = [f"{money(spent.spent)} spent in {spent.name}"]
    if spent.pending:
        parts.append(f"{money(spent.pending)} that running jobs may still cost")
    parts.append(f"{money(this)} for this one at most")
    total = spent.spent + spent.pending + this
    left = most - spent.spent - spent.pending
    fixes = [f"--max-cost {left:.2f}"] if left >= 0.01 else []  # noqa: PLR2004 (a cent)
    fixes.append(f"hubtrain cost --budget {total:.0f}" if total > most + 1 else "")
    fixes = [fix for fix in fixes if fix] or [f"hubtrain cost --budget {total + 1:.0f}"]
    text = f"the budget of {money(most)} a month would be broken: {', '.join(parts)}"
    return Finding("error", "price", text, " bounds it, or ".join(fixes))
