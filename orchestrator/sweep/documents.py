"""A sweep and its trials as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from orchestrator.document import Document
from orchestrator.sweep.best import Placed
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.trial import Trial, best_of
from worker.contract import EndReason, State


class SweptTrial(Document):
    """One trial of a sweep."""

    trial: int
    job: str | None
    settings: dict[str, Any]
    state: State | None
    reason: EndReason | None
    value: float | None
    """What it is judged by."""

    as_: int | None = Field(alias="as")
    """The earlier trial that had the same settings and is not repeated."""

    pruned: bool
    """Whether it was ended because others did better."""

    refused: str | None
    """Why it could not be begun."""

    model: str | None
    cost_usd: float
    seconds: float


class Sweep(Document):
    """A sweep and all of its trials."""

    sweep: str
    total: int
    metric: str
    better: str
    """`lower` or `higher`."""

    best: int | None
    model: str | None
    """Where the best model is."""

    removed: list[str]
    """Repos of other trials that were deleted."""

    cost_usd: float
    max_cost_usd: float | None
    running: bool = False
    """Whether a process of this machine makes its trials now."""

    ended_early: str | None
    """Why not all trials were made."""

    worth: dict[str, float]
    """How much of the difference each setting made, as a share of one."""

    trials: list[SweptTrial]


def document(
    spec: SweepSpec,
    total: int,
    trials: Sequence[Trial],
    now: datetime,
    *,
    placed: Placed | None = None,
    ended_early: str = "",
    worth: Mapping[str, float] = {},
    running: bool = False,
) -> Sweep:
    """Return a sweep that was to have `total` trials; `placed` is where the best model was put."""
    best = best_of(trials, spec.measure)
    return Sweep(
        sweep=spec.name,
        total=total,
        metric=spec.measure.name,
        better=spec.measure.better,
        best=best.number if best else None,
        model=placed.url if placed else best.model if best else None,
        removed=list(placed.removed) if placed else [],
        cost_usd=round(sum(t.usd(now) for t in trials), 4),
        max_cost_usd=spec.max_usd,
        running=running,
        ended_early=ended_early or None,
        worth=dict(worth),
        trials=[_of_trial(trial, spec, now) for trial in trials],
    )


def _of_trial(trial: Trial, spec: SweepSpec, now: datetime) -> SweptTrial:
    story = trial.record.story if trial.record else None
    return SweptTrial(
        trial=trial.number,
        job=trial.record.job_id if trial.record else None,
        settings=dict(trial.settings),
        state=story.state if story else None,
        reason=story.reason if story else None,
        value=trial.value(spec.measure),
        as_=trial.twin,
        pruned=trial.pruned,
        refused=trial.refused or None,
        model=trial.model,
        cost_usd=round(trial.usd(now), 4),
        seconds=round(story.seconds(now), 1) if story else 0.0,
    )
