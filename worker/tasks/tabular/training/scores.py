"""What a model is worth, with scikit-learn as the judge and AutoTrain's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

AVERAGES = ("macro", "micro", "weighted")


def scores(model: Any, rows: Any, labels: Sequence[str]) -> dict[str, float]:
    """Return the measurements of a fitted model on rows whose classes are known.

    Of two classes the second, as `classes_` has them, is the one that f1, precision and recall are
    about. An area under the curve needs rows of every class, and is left out without.
    """
    probabilities = model.predict_proba(rows)
    classes = list(model.classes_)
    said = [classes[i] for i in probabilities.argmax(axis=1)]
    found = {
        "loss": log_loss(probabilities, classes, labels),
        "accuracy": float(metrics.accuracy_score(labels, said)),
    }
    binary = len(classes) == 2  # noqa: PLR2004
    if set(labels) == set(classes):
        found["auc"] = _area(probabilities, classes, labels, binary=binary)
    for name in ("f1", "precision", "recall"):
        judge = getattr(metrics, f"{name}_score")
        if binary:
            found[name] = judge(labels, said, pos_label=classes[1], zero_division=0)
            continue
        for average in AVERAGES:
            value = judge(labels, said, labels=classes, average=average, zero_division=0)
            found[f"{name}_{average}"] = value
    return {name: float(value) for name, value in found.items()}


def log_loss(probabilities: Any, classes: Sequence[str], labels: Sequence[str]) -> float:
    """Return the mean log loss, which is what settings are chosen by."""
    return float(metrics.log_loss(labels, _sums_to_one(probabilities), labels=classes))


def _area(
    probabilities: Any, classes: Sequence[str], labels: Sequence[str], *, binary: bool
) -> float:
    if binary:
        truth = np.asarray([label == classes[1] for label in labels])
        return float(metrics.roc_auc_score(truth, probabilities[:, 1]))
    sure = _sums_to_one(probabilities)
    return float(metrics.roc_auc_score(labels, sure, multi_class="ovr", labels=classes))


def _sums_to_one(probabilities: Any) -> Any:
    """Return probabilities in 64 bits: those of 32 do not sum to 1 closely enough for the judge."""
    exact = np.asarray(probabilities, dtype=np.float64)
    return exact / exact.sum(axis=1, keepdims=True)
