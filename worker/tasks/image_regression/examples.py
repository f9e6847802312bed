"""Images and the numbers they are given. Light: both the check and the training read with this."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from worker.families.columns import chosen
from worker.families.labels import Labels
from worker.families.pictures.examples import Examples, collect, image_column
from worker.splits import Row, Split
from worker.tasks.image_regression.params import ImageRegressionParams

T = TypeVar("T")

TARGETS = ("target", "label", "labels", "score", "scores")
"""Usual names of the column of numbers, for users who name none."""


@dataclass(slots=True, kw_only=True)
class Scored(Examples[T, float]):
    """The examples of a split, and where their numbers are."""

    target: str
    """Column of the numbers."""

    declared: tuple[str, ...] = ()
    """Names of classes, where the numbers are those of classes."""

    @property
    def numbers(self) -> list[float]:
        """The numbers of all examples."""
        return [each.label for each in self.examples]


def read(
    split: Split,
    rows: Iterable[tuple[int, Row]],
    params: ImageRegressionParams,
    keep: Callable[[bytes], T],
) -> Scored[T]:
    """Return the examples in `rows` of `split`; `keep` is called with the bytes of each image.

    Raises `BadData`, naming the column or the row.
    """
    image = image_column(split, params.image_column)
    target = chosen(split, params.target_column, TARGETS, "--target-column", taken=[image])
    labels = Labels.of(split, target)

    def label(row: Row, number: int) -> float | None:
        return labels.number_of(row.get(target), number)

    found: Scored[T] = Scored(source=split.source, target=target, declared=labels.declared)
    return collect(found, image, rows, keep, label)
