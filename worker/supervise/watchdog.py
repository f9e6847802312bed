"""Decides when a job has reached a limit. Pure functions: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from worker.contract import EndReason, Failed, Limits, Stopped
from worker.duration import roughly


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a job stands; all times are seconds on one monotonic clock."""

    now: float
    started: float
    last_event: float
    to_save: float = 0.0
    """How long before a limit training has to end, so that a checkpoint is saved within it."""


def verdict(
    vitals: Vitals, limits: Limits, usd_per_hour: float, worker: str = "trainer"
) -> Failed | Stopped | None:
    """Return the ending if a limit is reached; none otherwise."""
    if limit := limit_of(vitals.now - vitals.started + vitals.to_save, limits, usd_per_hour):
        return limit
    if vitals.now - vitals.last_event >= limits.hang_seconds:
        return Failed(
            reason=EndReason.HUNG,
            message=f"The {worker} said nothing for {roughly(limits.hang_seconds)}.",
        )
    return None


def limit_of(elapsed: float, limits: Limits, usd_per_hour: float) -> Stopped | None:
    """Return the ending if `elapsed` seconds use up the time or the money; none otherwise."""
    if limits.max_seconds is not None and elapsed >= limits.max_seconds:
        return Stopped(
            reason=EndReason.DEADLINE,
            message=f"The time limit of {roughly(limits.max_seconds)} was reached.",
        )
    cost = elapsed / 3600 * usd_per_hour
    if limits.max_usd is not None and cost >= limits.max_usd and usd_per_hour > 0:
        return Stopped(
            reason=EndReason.COST_CAP,
            message=f"The money limit of ${limits.max_usd:.2f} was reached.",
        )
    return None
