"""Images and the numbers they are given. Light: both the check and the training read with this."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from worker.families.labels import Labels
from worker.families.pictures.examples import (
    Example,
    Examples,
    collect,
    column_of,
    image_column,
)
from worker.splits import Row, Split, hold_out, parted
from worker.tasks.image_regression.params import ImageRegressionParams

T = TypeVar("T")

TARGETS = ("target", "label", "labels", "score", "scores")
"""Usual names of the column of numbers, for users who name none."""


@dataclass(frozen=True, slots=True)
class Scored(Generic[T]):
    """The examples of a split, and where their numbers are."""

    found: Examples[T, float]
    target: str
    """Column of the numbers."""

    declared: tuple[str, ...] = ()
    """Names of classes, where the numbers are those of classes."""

    @property
    def numbers(self) -> list[float]:
        """The numbers of all examples."""
        return [each.label for each in self.found.examples]


def read(
    split: Split,
    params: ImageRegressionParams,
    rows: Iterable[tuple[int, Row]],
    keep: Callable[[bytes], T],
) -> Scored[T]:
    """Return the examples in `rows` of `split`; `keep` is called with the bytes of each image.

    Raises `BadData`, naming the column or the row.
    """
    image = image_column(split, params.image_column)
    target = column_of(split, "target", params.target_column, TARGETS)
    labels = Labels.of(split, target)

    def label(row: Row, number: int) -> float | None:
        return labels.number_of(row.get(target), number)

    return Scored(collect(split, image, rows, keep, label), target, labels.declared)


def divided(
    data: Scored[T], valid: Scored[T] | None, params: ImageRegressionParams
) -> tuple[list[Example[T, float]], list[Example[T, float]]]:
    """Return the examples to train on and those to validate on.

    A split called `valid` outranks a share to hold out.
    """
    rows = data.found.examples
    if valid is not None:
        return rows, valid.found.examples
    share = params.valid_share
    return parted(rows, hold_out(len(rows), share, params.seed) if share else ())
