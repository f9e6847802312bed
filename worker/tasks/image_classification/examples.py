"""Images and the classes they are of: one each, or several where the column holds lists. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from worker.families.labels import Labels, are_lists
from worker.families.pictures import examples
from worker.families.pictures.examples import Example, collect, column_of, image_column
from worker.splits import Row, Split, hold_out, hold_out_of_each, in_order, missing, parted
from worker.tasks.image_classification.params import ImageParams

T = TypeVar("T")

TARGETS = ("target", "label", "labels", "class")
"""Usual names of the column of classes, for users who name none."""

Classes = tuple[str, ...]
"""The names of what an image is of; one, unless images may be of several classes."""


@dataclass(frozen=True, slots=True)
class Classified(Generic[T]):
    """The examples of a split, and what is known of their classes."""

    found: examples.Examples[T, Classes]
    target: str
    """Column of the classes."""

    several: bool
    """Whether an image may be of several classes, or of none."""

    declared: Classes = ()
    """Names of the classes where the data declare them."""

    @property
    def used(self) -> frozenset[str]:
        """The classes that examples are of."""
        return frozenset(name for each in self.found.examples for name in each.label)

    @property
    def classes(self) -> Classes:
        """The names of the classes, in the order in which a model numbers them."""
        return self.declared or in_order(self.used)

    @property
    def counts(self) -> dict[str, int]:
        """How many examples each class has."""
        counted = Counter(name for each in self.found.examples for name in each.label)
        return {name: counted[name] for name in self.classes}


def read(
    split: Split,
    params: ImageParams,
    rows: Iterable[tuple[int, Row]],
    keep: Callable[[bytes], T],
) -> Classified[T]:
    """Return the examples in `rows` of `split`; `keep` is called with the bytes of each image.

    The first cell that says something tells whether images may be of several classes. Raises
    `BadData`, naming the column or the row.
    """
    image = image_column(split, params.image_column)
    target = column_of(split, "target", params.target_column, TARGETS)
    labels = Labels.of(split, target)
    rows, several = _peeked(rows, target)

    def label(row: Row, number: int) -> Classes | None:
        if several:
            return labels.classes_of(row.get(target), number)
        name = labels.class_of(row.get(target), number)
        return None if name is None else (name,)

    found = collect(split, image, rows, keep, label)
    return Classified(found, target, several, labels.declared)


def _peeked(rows: Iterable[tuple[int, Row]], target: str) -> tuple[Iterable[tuple[int, Row]], bool]:
    """Return the same rows, and whether the first that says a class says a list of them."""
    rows, seen = iter(rows), []
    for numbered in rows:
        seen.append(numbered)
        if not missing(cell := numbered[1].get(target)):
            return chain(seen, rows), are_lists([cell])
    return seen, False


def divided(
    found: Classified[T], valid: Classified[T] | None, params: ImageParams
) -> tuple[list[Example[T, Classes]], list[Example[T, Classes]]]:
    """Return the examples to train on and those to validate on.

    A split called `valid` outranks a share to hold out, which is of each class the same where
    images are of one.
    """
    rows = found.found.examples
    if valid is not None:
        return rows, valid.found.examples
    if params.valid_share is None:
        return rows, []
    if found.several:
        return parted(rows, hold_out(len(rows), params.valid_share, params.seed))
    labels = [each.label[0] for each in rows]
    return parted(rows, hold_out_of_each(labels, params.valid_share, params.seed))
