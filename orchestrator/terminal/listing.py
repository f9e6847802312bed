"""A job as `hubtrain jobs`, `status` and `--json` show it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.jobs.glance import Glance
from orchestrator.words import ago, clock_time, money
from worker.duration import roughly

if TYPE_CHECKING:
    from orchestrator.jobs.records import Record

NOTHING = "-"

ROW = ("JOB", "PROJECT", "TASK", "WHERE", "STATE", "STEP", "LOSS", "COST")

SPARE = ("TASK", "WHERE", "STEP", "LOSS")
"""The columns that a narrow terminal leaves out, in this order."""


def rows(jobs: Sequence[Glance], now: datetime) -> list[tuple[str, ...]]:
    """Return jobs as `hubtrain jobs` shows them."""
    resumed = {earlier for job in jobs for earlier in job.resumes}
    return [row(job, now, resumable=job.resumable and job.job_id not in resumed) for job in jobs]


def row(job: Glance, now: datetime, *, resumable: bool) -> tuple[str, ...]:
    """Return a job as `hubtrain jobs` shows it; `resumable` if nobody has gone on with it yet."""
    known = job.known_at(now)
    where = job.backend if job.flavor in {None, job.backend} else f"{job.backend} {job.flavor}"
    return (
        job.job_id,
        job.project,
        job.kind,
        where,
        _state_words(job, now, resumable=resumable),
        NOTHING if job.step is None else f"{job.step}/{job.total_steps}",
        _measured(job),
        money(job.usd(known)) if job.usd_per_hour else NOTHING,
    )


def _measured(job: Glance) -> str:
    """Return the newest value of what tells most, named where it is no loss."""
    if job.value is None:
        return NOTHING
    return f"{job.value:.3f}" if job.watched == "loss" else f"{job.watched} {job.value:.3f}"


def unconfirmed(record: Record, now: datetime) -> str:
    """Return since when what is known of a job is not confirmed, and why; empty if it is."""
    if not record.unanswered:
        return ""
    since = record.as_of
    return f"as of {clock_time(since, now) if since else 'its making'}; {record.unanswered}"


def costs(jobs: Sequence[Glance], deployed: Sequence[tuple[str, float]] = ()) -> str:
    """Return what costs something now, and how much an hour; empty if nothing is known to.

    `deployed` names the deployments that cost, each with its price an hour.
    """
    costing = [j for j in jobs if j.costing]
    prices = [*(j.usd_per_hour for j in costing), *(usd for _, usd in deployed)]
    if not prices:
        return ""
    named = [f"{j.job_id} {money(j.usd_per_hour)}/h{_although_over(j)}" for j in costing]
    named += [f"{one} {money(usd)}/h (hubtrain cancel stops it)" for one, usd in deployed]
    total = f" · {money(sum(prices))}/h in all" if len(prices) > 1 else ""
    return f"Costing now: {', '.join(named)}{total}"


def _although_over(job: Glance) -> str:
    return " although it has ended (hubtrain gc stops it)" if job.final else ""


def _state_words(job: Glance, now: datetime, *, resumable: bool) -> str:
    words = _plain_state(job, job.known_at(now), resumable=resumable)
    if job.cancelling and not job.final:
        words += ", to be cancelled"
    if job.unanswered and job.as_of:
        words += f" (as of {clock_time(job.as_of, now)})"
    return words


def _plain_state(job: Glance, now: datetime, *, resumable: bool) -> str:
    if job.final:
        state = f"{job.state}, resumable" if resumable else job.state
        why = "" if job.reason in {None, "ok", "user"} else f" ({job.reason})"
        when = f" {ago(job.ended_at, now)}" if job.ended_at else ""
        return f"{state}{why}{when}"
    since = job.started_at or job.created_at
    return f"{job.state} {roughly((now - since).total_seconds())}" if since else job.state
