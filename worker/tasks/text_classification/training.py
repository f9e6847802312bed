"""Trains a classifier of texts: the only file of this task that imports torch and numpy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from worker.engine.fit import begin
from worker.engine.phases import phase
from worker.errors import BadData
from worker.families.corpus import learnable
from worker.families.heads import numbered
from worker.families.text.training import sequences
from worker.families.training.classes import draw_one, draw_several
from worker.families.training.measures import classification, several_labels
from worker.reading import load
from worker.shorten import some
from worker.task import Measure, Run
from worker.tasks.text_classification.labels import Classes, Names, classes
from worker.tasks.text_classification.params import TextClassificationParams


def train(params: TextClassificationParams, run: Run, measures: tuple[Measure, ...]) -> None:
    """Train `run.base` on `run.data`; `measures` are those of texts of several classes."""
    begin(params)
    with phase(run.emit, "reading data"):
        found = _learnable(classes(params, load(run.data)))
    if found.several:
        run = replace(run, headline=measures[0])
    sequences.train(params, run, found.corpus, labels(found), lambda _: head(found))


def labels(found: Classes) -> dict[str, Any]:
    """Return what the model's configuration says of its classes."""
    kind = "multi_label_classification" if found.several else "single_label_classification"
    return {
        "problem_type": kind,
        **numbered(found.names),
    }


def head(found: Classes) -> sequences.Head[Names]:
    """Return what a model says of a text: one of the classes, or each of them or not."""
    numbers = {name: number for number, name in enumerate(found.names)}
    return sequences.Head(
        label=partial(_several if found.several else _one, numbers),
        measured=several_labels if found.several else classification,
        drawn=partial(draw_several if found.several else draw_one, found.names),
    )


def _one(numbers: dict[str, int], names: Names) -> int:
    return numbers[names[0]]


def _several(numbers: dict[str, int], names: Names) -> Any:
    label = np.zeros(len(numbers), np.float32)
    label[[numbers[name] for name in names]] = 1
    return label


def _learnable(found: Classes) -> Classes:
    """Return the texts, where they can be learned from. Raises `BadData`, as the check does."""
    corpus = learnable(found.corpus, "a text and a class")
    seen = {name for one in corpus.held for name in one.target}
    if unknown := seen.difference(found.names):
        named = some(sorted(unknown))
        raise BadData(
            f"the validation split has classes that no training text is of: {named}.",
            fix="Give them training texts, or take them out of the validation split.",
        )
    if len(found.names) < (1 if found.several else 2):
        raise BadData(
            f"{corpus.train.source} has no texts of two classes: there is nothing to tell apart."
        )
    return found
