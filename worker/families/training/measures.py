"""How often a model is right, in AutoTrain's measures, computed as scikit-learn defines them.

- One of two classes: accuracy, f1, precision, recall of the second class, and auc.
- One of more: accuracy, and f1, precision and recall as `macro` (each class counts alike), `micro`
  and `weighted` (by examples).
- Several classes each: accuracy counts examples of which every class is right; f1, precision and
  recall as above.
- Numbers: mse, rmse, mae, r2 and explained_variance.

A share of nothing counts as 0. The image of the machine that trains needs no scikit-learn for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
BINARY = 2


def logits_of(predictions: Any) -> Any:
    """Return the logits among what a model predicts: some return more than these."""
    return predictions[0] if isinstance(predictions, tuple) else predictions


def classification(logits: Numbers, labels: Numbers) -> dict[str, float]:
    """Return the measures of one class each: logits (examples, classes), labels (examples)."""
    guesses = logits.argmax(axis=1)
    found = {"accuracy": float((guesses == labels).mean())}
    if logits.shape[1] == BINARY:
        scores = _scores(guesses, labels, 2)
        found |= {name: float(each[1]) for name, each in scores.items()}
        found["auc"] = auc(logits[:, 1] - logits[:, 0], labels)
        return {name: value for name, value in found.items() if not np.isnan(value)}
    # as scikit-learn: only classes that occur, in the labels or among the guesses
    occurring = np.union1d(guesses, labels)
    there = np.bincount(labels, minlength=logits.shape[1])[occurring]
    for name, each in _scores(guesses, labels, logits.shape[1]).items():
        found[f"{name}_macro"] = float(each[occurring].mean())
        found[f"{name}_micro"] = found["accuracy"]  # one guess an example: the same number
        found[f"{name}_weighted"] = float(np.average(each[occurring], weights=there))
    return found


def several_labels(logits: Numbers, labels: Numbers) -> dict[str, float]:
    """Return the measures of several classes each: `logits` and `labels` are (examples, classes).

    A class is guessed where its logit is above 0, a probability of one half.
    """
    guesses, truth = logits > 0, labels > 0
    right, guessed, there = (np.sum(x, axis=0) for x in (guesses & truth, guesses, truth))
    counts = {"f1": (2 * right, guessed + there), "precision": (right, guessed)}
    counts["recall"] = (right, there)
    found = {"accuracy": float((guesses == truth).all(axis=1).mean())}
    for name, (part, whole) in counts.items():
        each = _share(part, whole)
        found[f"{name}_macro"] = float(each.mean())
        found[f"{name}_micro"] = float(_share(part.sum()[None], whole.sum()[None])[0])
        found[f"{name}_weighted"] = float(each @ there / there.sum()) if there.sum() else 0.0
    return found


def regression(guesses: Numbers, truth: Numbers) -> dict[str, float]:
    """Return the measures of numbers; both are (examples).

    r2 and explained_variance are left out where all of `truth` are the same: they compare with
    guessing the mean.
    """
    truth = truth.astype(np.float64)
    off = guesses.astype(np.float64) - truth
    mse = float(np.mean(off**2))
    found = {"mse": mse, "rmse": mse**0.5, "mae": float(np.abs(off).mean())}
    if (spread := float(truth.var())) > 0:
        found["r2"] = 1 - mse / spread
        found["explained_variance"] = 1 - float(off.var()) / spread
    return found


def precision_recall(scores: Numbers, labels: Numbers) -> list[tuple[float, float]]:
    """Return (recall, precision) where all that scores as high as an example counts as found.

    From the highest score on; both arguments are (examples), labels 0 or 1. None where no example
    is of the class.
    """
    order = np.argsort(-scores, kind="stable")
    found, positives = np.cumsum(labels[order] > 0), int((labels > 0).sum())
    if not positives:
        return []
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of each score
    recall, precision = found[last] / positives, found[last] / (last + 1)
    return list(zip(recall.tolist(), precision.tolist(), strict=True))


def average_precision(curve: Sequence[tuple[float, float]]) -> float:
    """Return the mean precision over the recalls that are gained, as scikit-learn has it."""
    recalls = [0.0, *(recall for recall, _ in curve)]
    gained = (after - before for before, after in pairwise(recalls))
    return sum(more * precision for more, (_, precision) in zip(gained, curve, strict=True))


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
