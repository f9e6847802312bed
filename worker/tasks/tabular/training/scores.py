"""What a model is worth, by AutoTrain's names."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

from worker.families.training.measures import classification, regression, several_labels
from worker.tasks.tabular.table import Table, Told
from worker.tasks.tabular.training.frames import Frame

BINARY = 2
LEAST = 1e-15
"""Least probability that counts, so that one mistake of who was sure is no infinite loss."""


@dataclass(frozen=True)
class Judge:
    """Judges fitted models by rows of which everything is told."""

    classes: Mapping[str, Sequence[str]]
    """The classes there are, by target; none where numbers are told."""

    spread: Mapping[str, float]
    """Standard deviation of each target of numbers, among the rows that are learned from."""

    @classmethod
    def of(cls, table: Table, learned: Frame) -> Judge:
        """Return the judge of models for a table."""
        numbers = learned.told.items() if table.numbers else ()
        spread = {name: statistics.pstdev(map(float, told)) or 1.0 for name, told in numbers}
        return cls(table.classes, spread)

    def loss(self, model: Any, asked: Frame) -> float:
        """Return what settings are chosen by: the mean log loss, or the root mean squared error.

        Of several targets it is their mean; errors are then in standard deviations of each.
        """
        if self.classes:
            losses = [
                log_loss(sure, self.classes[name], asked.told[name])
                for name, sure in self.sure(model, asked.rows)
            ]
            return sum(losses) / len(losses)
        errors = {
            name: float(metrics.root_mean_squared_error(asked.told[name], said))
            for name, said in predicted(model, asked)
        }
        if len(errors) == 1:
            return next(iter(errors.values()))
        return sum(error / self.spread[name] for name, error in errors.items()) / len(errors)

    def scores(self, model: Any, asked: Frame) -> dict[str, float]:
        """Return the measurements, `loss` among them.

        Of two classes the second is the one that f1, precision and recall are about. An area under
        the curve needs rows of every class, and is left out without.
        """
        found, told = {"loss": self.loss(model, asked)}, asked.told
        if not self.classes:
            return found | _of_numbers(dict(predicted(model, asked)), told)
        sure = dict(self.sure(model, asked.rows))
        if len(sure) == 1:
            ((name, one),) = sure.items()
            return found | _of_classes(one, self.classes[name], told[name])
        return found | self._of_several(sure, told)

    def sure(self, model: Any, rows: Any) -> Iterator[tuple[str, Any]]:
        """Yield each target with the probabilities of its classes (rows, classes)."""
        sure, known = model.predict_proba(rows), model.classes_
        if len(self.classes) == 1:
            sure, known = [sure], [known]
        for (name, classes), told, fitted in zip(self.classes.items(), sure, known, strict=True):
            yield name, _aligned(told, list(map(str, fitted)), classes)

    def _of_several(self, sure: Mapping[str, Any], told: Told) -> dict[str, float]:
        """Return the measurements of several targets together, and how often each is right."""
        true = {name: places(told[name], self.classes[name]) for name in sure}
        right = {name: one.argmax(axis=1) == true[name] for name, one in sure.items()}
        found = {"accuracy": float(np.logical_and.reduce(list(right.values())).mean())}
        if all(len(classes) == BINARY for classes in self.classes.values()):
            odds = np.stack(
                [np.log(one[:, 1]) - np.log(one[:, 0]) for one in sure.values()], axis=1
            )
            found = several_labels(odds, np.stack(list(true.values()), axis=1))
        return found | {f"accuracy_{name}": float(one.mean()) for name, one in right.items()}


def predicted(model: Any, asked: Frame) -> Iterator[tuple[str, Any]]:
    """Yield each target with the numbers that are predicted."""
    said = np.asarray(model.predict(asked.rows), dtype=np.float64)
    said = said.reshape(len(asked), len(asked.told))
    yield from ((name, said[:, i]) for i, name in enumerate(asked.told))


def log_loss(sure: Any, classes: Sequence[str], labels: Sequence[str | float]) -> float:
    """Return the mean log loss of probabilities (rows, classes)."""
    return float(metrics.log_loss(places(labels, classes), sure, labels=range(len(classes))))


def _of_classes(
    sure: Any, classes: Sequence[str], labels: Sequence[str | float]
) -> dict[str, float]:
    true = places(labels, classes)
    found = classification(np.log(sure), true)
    if len(classes) > BINARY and len(np.unique(true)) == len(classes):
        found["auc"] = float(metrics.roc_auc_score(true, sure, multi_class="ovr"))
    return found


def _of_numbers(said: Mapping[str, Any], told: Told) -> dict[str, float]:
    """Return the mean of each measurement over the targets, and of several r2 of each."""
    each = {name: _of_one(one, np.asarray(told[name], float)) for name, one in said.items()}
    shared = set.intersection(*(set(one) for one in each.values()))
    found = {name: sum(one[name] for one in each.values()) / len(each) for name in sorted(shared)}
    if len(each) > 1:
        found |= {f"r2_{name}": one["r2"] for name, one in each.items() if "r2" in one}
    return found


def _of_one(said: Any, truth: Any) -> dict[str, float]:
    found = regression(said, truth)
    if truth.min() >= 0:
        logs = metrics.root_mean_squared_log_error(truth, np.maximum(said, 0))
        found["rmsle"] = float(logs)
    return found


def places(labels: Sequence[str | float], classes: Sequence[str]) -> Any:
    """Return the numbers of labels among the classes."""
    place = {name: i for i, name in enumerate(classes)}
    return np.asarray([place[str(label)] for label in labels])


def _aligned(sure: Any, fitted: Sequence[str], classes: Sequence[str]) -> Any:
    """Return probabilities of all classes in their order, in 64 bits, none of them 0.

    Those of 32 bits do not sum to 1 closely enough for scikit-learn's judges.
    """
    found = np.full((len(sure), len(classes)), LEAST)
    for i, name in enumerate(classes):
        if name in fitted:
            found[:, i] = np.maximum(sure[:, fitted.index(name)], LEAST)
    return found / found.sum(axis=1, keepdims=True)
