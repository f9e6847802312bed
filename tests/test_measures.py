"""The measures of the families, judged by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as judge

from worker.families.training.measures import (
    average_precision,
    classification,
    precision_recall,
    regression,
    several_labels,
)

AVERAGES = ("macro", "micro", "weighted")
SCORES = ("f1", "precision", "recall")


@pytest.mark.parametrize("classes", [2, 4])
def test_measures_of_one_class_each(classes: int) -> None:
    chance = np.random.default_rng(classes)
    logits = np.round(chance.normal(size=(60, classes)), 1)  # some are tied
    labels = chance.integers(0, min(classes, 3), 60)
    found, guesses = classification(logits, labels), logits.argmax(1)
    expected = {"accuracy": judge.accuracy_score(labels, guesses)}
    for name in SCORES:
        score = getattr(judge, f"{name}_score")
        if classes == 2:
            expected[name] = score(labels, guesses, zero_division=0)
        for average in AVERAGES if classes > 2 else ():
            expected[f"{name}_{average}"] = score(labels, guesses, average=average, zero_division=0)
    if classes == 2:
        expected["auc"] = judge.roc_auc_score(labels, logits[:, 1] - logits[:, 0])
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_measures_of_several_classes_each(share: float) -> None:
    chance = np.random.default_rng(5)
    logits = chance.normal(size=(50, 4))
    labels = (chance.random((50, 4)) < share).astype(float)
    labels[:, 3] = 0  # a class that no example is of
    found, guesses = several_labels(logits, labels), (logits > 0).astype(int)
    expected = {"accuracy": judge.accuracy_score(labels.astype(int), guesses)}
    for name in SCORES:
        score = getattr(judge, f"{name}_score")
        for average in AVERAGES:
            value = score(labels.astype(int), guesses, average=average, zero_division=0)
            expected[f"{name}_{average}"] = value
    assert found == pytest.approx(expected)


def test_measures_of_numbers() -> None:
    chance = np.random.default_rng(3)
    truth = chance.normal(5, 2, 80)
    guesses = truth + chance.normal(0.3, 1, 80)
    assert regression(guesses, truth) == pytest.approx(
        {
            "mse": judge.mean_squared_error(truth, guesses),
            "rmse": judge.root_mean_squared_error(truth, guesses),
            "mae": judge.mean_absolute_error(truth, guesses),
            "r2": judge.r2_score(truth, guesses),
            "explained_variance": judge.explained_variance_score(truth, guesses),
        }
    )
    assert set(regression(guesses, np.full(80, 2.0))) == {"mse", "rmse", "mae"}


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_precision_over_recall(digits: int) -> None:
    chance = np.random.default_rng(7)
    scores, labels = np.round(chance.normal(size=80), digits), chance.integers(0, 2, 80)
    curve = precision_recall(scores, labels)
    precision, recall, thresholds = judge.precision_recall_curve(labels, scores)
    assert len(curve) == len(thresholds) == len(np.unique(scores))
    theirs = np.stack([recall[:-1], precision[:-1]], axis=1)
    assert np.array(curve[::-1]) == pytest.approx(theirs)
    assert average_precision(curve) == pytest.approx(judge.average_precision_score(labels, scores))
    assert precision_recall(scores, labels * 0) == []
