"""Trains a model that tells a number of a text: the only file of this task that imports torch.

Numbers are learned as standard scores, since a new head moves by less than a tenth in a step and
would need thousands of them for prices or years. Once it has learned, its last layer is scaled, so
that the model that is saved tells the numbers themselves. The loss is that of standard scores, and
all other measures are of the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worker import judged
from worker.engine.fit import begin
from worker.engine.phases import phase
from worker.errors import BadData
from worker.families.text.training import sequences
from worker.families.training.measures import regression
from worker.reading import load
from worker.task import Measure, Run
from worker.tasks.text_regression.numbers import numbers
from worker.tasks.text_regression.params import TextRegressionParams


def train(params: TextRegressionParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`."""
    begin(params)
    with phase(run.emit, "reading data"):
        corpus = sequences.learnable(numbers(params, load(run.data)))
    learned = [one.target for one in corpus.learned]
    if len(set(learned)) == 1:
        raise BadData(f"all numbers of {corpus.train.source} are the same: nothing can be learned.")
    column = corpus.train.target
    labels = {
        "problem_type": "regression",
        "id2label": {0: column},
        "label2id": {column: 0},
    }
    if len({one.target for one in corpus.held}) == 1:  # then there is no r2
        run = replace(run, headline=Measure("valid_loss"))
    sequences.train(params, run, corpus, labels, lambda model: head(model, column, learned))


@dataclass(frozen=True, slots=True)
class Scale:
    """How far numbers are from their mean, and how far they usually are."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, found: Sequence[float], *, shifts: bool) -> Scale:
        """Return that of numbers; about 0 and not their mean where the last layer cannot shift."""
        mean = float(np.mean(found)) if shifts else 0.0
        return cls(mean, float(np.sqrt(np.mean((np.asarray(found) - mean) ** 2))))

    def scores(self, values: Any) -> Any:
        """Return numbers as standard scores."""
        return (values - self.mean) / self.deviation

    def values(self, scores: Any) -> Any:
        """Return standard scores as the numbers they are."""
        return scores * self.deviation + self.mean

    @torch.no_grad()
    def put_into(self, layer: torch.nn.Linear) -> None:
        """Let a layer that told standard scores tell the numbers."""
        layer.weight.mul_(self.deviation)
        if layer.bias is not None:
            layer.bias.mul_(self.deviation).add_(self.mean)


def head(model: Any, column: str, learned: Sequence[float]) -> sequences.Head[float]:
    """Return what the model says of a text: one number, that of a column."""
    layer = last_layer(model)
    scale = Scale.of(learned, shifts=layer.bias is not None)

    def measured(logits: Any, labels: Any) -> dict[str, float]:
        return regression(scale.values(logits.reshape(-1)), scale.values(labels.reshape(-1)))

    def drawn(logits: Any, labels: Any, folder: Path) -> None:
        true, said = (scale.values(some.reshape(-1)).tolist() for some in (labels, logits))
        judged.scatter({column: list(zip(true, said, strict=True))}, folder)

    return sequences.Head(
        label=lambda number: np.float32(scale.scores(number)),
        measured=measured,
        drawn=drawn,
        done=lambda: scale.put_into(layer),
    )


def last_layer(model: Any) -> torch.nn.Linear:
    """Return the layer whose output is the number, in the copy that is trained."""
    found = [
        layer
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear)
        and layer.out_features == 1
        and layer.weight.requires_grad
        and ".lora_" not in name
    ]
    return found[-1]
