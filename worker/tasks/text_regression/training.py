"""Trains a model that tells a number of a text: the only file of this task that imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worker import evaluation_plots
from worker.engine.fit import begin
from worker.engine.phases import phase
from worker.errors import BadData
from worker.families.corpus import learnable
from worker.families.heads import numbered
from worker.families.text.kinds import ENCODER
from worker.families.text.training import sequences
from worker.families.training.scaling import Scale, heads
from worker.reading import load
from worker.task import Run
from worker.tasks.text_regression.numbers import numbers
from worker.tasks.text_regression.params import TextRegressionParams


def train(params: TextRegressionParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`."""
    begin(params)
    with phase(run.emit, "reading data"):
        corpus = learnable(numbers(params, load(run.data)), "a text and a number")
    learned, column = [one.target for one in corpus.learned], corpus.train.target
    if len(set(learned)) == 1:
        raise BadData(f"all numbers of {corpus.train.source} are the same: nothing can be learned.")
    labels = {"problem_type": "regression", **numbered([column])}
    sequences.train(params, run, corpus, labels, lambda model: head(model, column, learned))


def head(model: Any, column: str, learned: Sequence[float]) -> sequences.Head[float]:
    """Return what the model says of a text: one number, that of a column."""
    scale = Scale.of(learned, shifts=all(layer.bias is not None for layer in heads(model, ENCODER)))

    def drawn(logits: Any, labels: Any, folder: Path) -> None:
        scores = (some.reshape(-1) * scale.deviation + scale.mean for some in (labels, logits))
        true, said = (some.tolist() for some in scores)
        evaluation_plots.scatter({column: list(zip(true, said, strict=True))}, folder)

    return sequences.Head(
        label=lambda number: np.float32(scale.learned(number)),
        measured=scale.measured,
        drawn=drawn,
        done=lambda: scale.fold(model),
    )
