"""How often a classifier is right, in AutoTrain's measures, computed as scikit-learn defines them.

Two classes: accuracy, f1, precision, recall of the second class, and auc. More: accuracy, and
f1, precision and recall as `macro` (each class counts alike), `micro` and `weighted` (by images).
A share of nothing counts as 0. The image of the machine that trains needs no scikit-learn for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
BINARY = 2


def metrics(logits: Numbers, labels: Numbers) -> dict[str, float]:
    """Return the measures; `logits` is (images, classes), `labels` (images)."""
    guesses = logits.argmax(axis=1)
    found = {"accuracy": float((guesses == labels).mean())}
    if logits.shape[1] == BINARY:
        scores = _scores(guesses, labels, 2)
        found |= {name: float(each[1]) for name, each in scores.items()}
        found["auc"] = auc(logits[:, 1] - logits[:, 0], labels)
        return {name: value for name, value in found.items() if not np.isnan(value)}
    # as scikit-learn: only classes that occur, in the labels or among the guesses
    occurring = np.union1d(guesses, labels)
    images = np.bincount(labels, minlength=logits.shape[1])[occurring]
    for name, each in _scores(guesses, labels, logits.shape[1]).items():
        found[f"{name}_macro"] = float(each[occurring].mean())
        found[f"{name}_micro"] = found["accuracy"]  # one guess an image: the same number
        found[f"{name}_weighted"] = float(np.average(each[occurring], weights=images))
    return found


def _scores(guesses: Numbers, labels: Numbers, classes: int) -> dict[str, Numbers]:
    """Return f1, precision and recall of each class."""
    right = np.bincount(labels[guesses == labels], minlength=classes)
    guessed = np.bincount(guesses, minlength=classes)
    there = np.bincount(labels, minlength=classes)
    return {
        "f1": _share(2 * right, guessed + there),
        "precision": _share(right, guessed),
        "recall": _share(right, there),
    }


def _share(part: Numbers, whole: Numbers) -> Numbers:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def auc(scores: Numbers, labels: Numbers) -> float:
    """Return the area under the ROC curve: how likely a positive scores above a negative.

    Ties count half (Mann and Whitney 1947). No number where only one class is there.
    """
    positives = int(labels.sum())
    pairs = positives * (len(labels) - positives)
    if not pairs:
        return float("nan")
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[group]
    above = float(ranks[labels == 1].sum()) - positives * (positives + 1) / 2
    return above / pairs
