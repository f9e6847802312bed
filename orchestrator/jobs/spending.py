"""What jobs have cost, what running ones may still cost, and what a month may cost at most.

A job is of the month, in UTC, in which it was made. What it costs is time on its machine by the
price it was launched at (`Story.cost`); deployments are not counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.jobs.glance import Glance
from worker.errors import BadConfig
from worker.home import home, keep

SETTINGS_FILE = "settings.json"
"""What a user has set for all jobs, in the folder of records."""


@dataclass(frozen=True, slots=True)
class Month:
    """The money of one month, in US dollars."""

    name: str
    """As in `2026-11`."""

    spent: float
    pending: float
    """What running jobs may still cost, by their limits or else by their high estimates."""

    unbounded: tuple[str, ...] = ()
    """Running jobs that cost and of which neither a limit nor an estimate is known."""


def month_of(when: datetime) -> str:
    """Return the month of a moment, in UTC: `2026-11`."""
    there = when.astimezone(UTC)
    return f"{there.year:04}-{there.month:02}"


def month(jobs: Iterable[Glance], now: datetime, without: Collection[str] = ()) -> Month:
    """Return the present month of these jobs, those called `without` left out."""
    name, spent, pending = month_of(now), 0.0, 0.0
    unbounded = []
    for job in jobs:
        if job.job_id in without or not job.usd_per_hour:
            continue
        goes_on = _goes_on(job)
        if goes_on or month_of(job.created_at or now) == name:
            spent += job.usd(now)
        if goes_on and (most := at_most(job)) is not None:
            pending += max(0.0, most - job.usd(now))
        elif goes_on:
            unbounded.append(job.job_id)
    return Month(name, spent, pending, tuple(unbounded))


def committed(jobs: Iterable[Glance], now: datetime) -> float:
    """Return what jobs have cost and what those that run may still cost, in US dollars."""
    return sum(max(job.usd(now), (at_most(job) or 0.0) if _goes_on(job) else 0.0) for job in jobs)


def _goes_on(job: Glance) -> bool:
    return not job.settled and not (job.final and not job.costing)


def at_most(job: Glance) -> float | None:
    """Return what a job may cost at most: by its limits, else its estimate; none if unknown."""
    return job.usd_high if job.usd_cap is None else job.usd_cap


def budget() -> float | None:
    """Return what a month may cost at most, in US dollars; none where nothing is set.

    Raises `HubtrainError` where the settings cannot be read: money is not spent then.
    """
    path = home() / SETTINGS_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8")).get("budget")
        return None if told is None else _amount(float(told))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BadConfig(
            f"the settings in {path} cannot be read: {error}.", fix="hubtrain cost --budget 50"
        ) from error


def _amount(usd: float) -> float:
    if not 0 <= usd < math.inf:
        raise ValueError(f"a budget of {usd} is none")
    return usd


def set_budget(usd: float | None) -> None:
    """Keep what a month may cost at most; none takes it away. Raises `HubtrainError`."""
    path = home() / SETTINGS_FILE
    text = json.dumps({**_others(path), "budget": usd}, indent=2) + "\n"
    keep(path, text, "the budget")


def _others(path: Path) -> dict[str, object]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
