"""Numbers as a model learns them, around 0 with a spread of 1, and a model that says them as given.

A head that starts near 0 would first have to find the mean, and a loss of squares counts in the
square of whatever unit the numbers have. So the model learns (y - mean) / deviation, and in the end
its last layer is rewritten to say y: W' = deviation W, b' = deviation b + mean. Layers without b,
which decoders of text have, learn y / deviation, and their deviation is that from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from worker.errors import BadConfig
from worker.families.training.measures import Numbers, regression


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and deviation of the numbers that are learned."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float], *, shifts: bool = True) -> Scale:
        """Return those of some numbers; a deviation of 1 where all are the same.

        The mean is 0 for a layer that cannot shift what it says.
        """
        found = np.asarray(values, dtype=np.float64)
        mean = float(found.mean()) if shifts else 0.0
        return cls(mean, float(np.sqrt(np.mean((found - mean) ** 2))) or 1.0)

    def learned(self, value: float) -> float:
        """Return a number as it is learned."""
        return (value - self.mean) / self.deviation

    def measured(self, guesses: Numbers, labels: Numbers) -> dict[str, float]:
        """Return the measures in the numbers' own units, of guesses (examples, 1)."""
        own = (self.deviation * x.reshape(-1).astype(np.float64) for x in (guesses, labels))
        return regression(*own)

    @torch.no_grad()
    def fold(self, model: Any) -> None:
        """Let a model that says learned numbers say the numbers themselves.

        Raises `BadConfig` where its head is no linear layer, which `heads` tells before training.
        """
        for head in heads(model):
            head.weight.mul_(self.deviation)
            if head.bias is not None:
                head.bias.mul_(self.deviation).add_(self.mean)


def heads(model: Any, such_as: str = "") -> list[torch.nn.Linear]:
    """Return the layers that say the number: one, or several whose mean it is.

    Raises `BadConfig` where there are none; a model `such_as` one has them.
    """
    layers = (layer for name, layer in model.named_modules() if ".lora_" not in name)
    linear = (layer for layer in layers if isinstance(layer, torch.nn.Linear))
    found = [layer for layer in linear if layer.out_features == 1]
    if not found:
        raise BadConfig(
            f"{type(model).__name__} has no linear layer as its head, which numbers need.",
            fix=f"--model with another one{f', such as {such_as}' if such_as else ''}",
        )
    return found
