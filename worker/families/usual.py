"""What tasks that train a model with transformers answer alike of their settings. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.common import Optimisation, TransformersSettings


def shown(params: TransformersSettings, **more: Any) -> Mapping[str, Any]:
    """Return the settings that decide most of what comes out, and `more` that a task has."""
    return {
        "lr": params.peak_lr,
        "epochs": params.epochs,
        "batch_size": params.batch_size,
        "gradient_accumulation": params.gradient_accumulation,
        **more,
        "scheduler": params.scheduler,
        "seed": params.seed,
    }


def smaller_batches(params: Optimisation) -> list[str]:
    """Return what to type for half the batch and the same steps; nothing for batches of one."""
    half, twice = params.batch_size // 2, params.gradient_accumulation * 2
    return [f"--batch-size {half} --gradient-accumulation {twice}"] if half else []
