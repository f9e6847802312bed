"""Schedule of the learning rate, from a task's settings."""

from __future__ import annotations

import math

FLOOR = 0.1
"""Share of the peak rate that schedules with a least rate fall to."""

DECAY = 0.2
"""Share of the steps in which `warmup_stable_decay` falls to 0 (Hägele et al. 2024)."""


def warmup_steps(steps: int, ratio: float) -> int:
    """Return in how many of `steps` the rate rises, counted as transformers and TRL do.

    The first step of a warmup has rate 0. A warmup of one step would be that and nothing else, so
    there is none.
    """
    rising = math.ceil(steps * ratio)
    return rising if rising > 1 else 0


def scheduler_arguments(scheduler: str, steps: int, cycles: float = 0.5) -> dict[str, float]:
    """Return what transformers' scheduler of this name needs to be told beside its steps.

    `cycles` are the waves of a cosine.
    """
    if scheduler == "cosine" and cycles != 0.5:  # noqa: PLR2004
        return {"num_cycles": cycles}
    if scheduler in {"cosine_with_min_lr", "cosine_warmup_with_min_lr"}:
        return {"min_lr_rate": FLOOR}
    if scheduler == "warmup_stable_decay":
        return {"num_decay_steps": max(1, round(steps * DECAY))}
    return {}
