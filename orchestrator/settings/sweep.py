"""What users may set of a sweep: how settings are chosen, how many, and what becomes of the models.

What is tried is no setting: it names those of the task (`orchestrator.sweep.space`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from worker.params import Params

MOST_TRIALS = 1000


class SweepSettings(Params):
    """Sweep."""

    trials: Annotated[int, Ge(1), Le(MOST_TRIALS)] | None = None
    """How many settings to try; all combinations of lists where nothing is said (a grid)."""

    parallel: Annotated[int, Ge(1), Le(64)] = 1
    """Trials that run at the same time, each on a machine of its own."""

    sampler: Literal["grid", "tpe", "random", "qmc"] | None = None
    """What chooses the settings: grid tries all combinations; the others are Optuna's. None is grid
    for lists without --trials, else tpe."""

    sampler_seed: Annotated[int, Ge(0), Lt(2**31)] = 42
    """Seed of what is chosen; that of the training is --seed."""

    pruner: Literal["none", "median", "asha", "hyperband"] = "none"
    """Optuna's pruner that stops trials early which measure worse than others at their step."""

    metric: str | None = None
    """Measurement that trials are judged by; none is what the task names first."""

    keep: Literal["all", "best"] = "all"
    """Whose repos stay on the Hub once the best is in its place: of all trials, or none other."""
