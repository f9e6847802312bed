"""Images and the classes they are of: one each, or several where the column holds lists. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from worker.families.columns import TARGETS, chosen
from worker.families.labels import Labels, are_lists
from worker.families.pictures.examples import Examples, collect, image_column
from worker.splits import Row, Split, hold_out, hold_out_of_each, in_order, missing
from worker.tasks.image_classification.params import ImageParams

T = TypeVar("T")

Classes = tuple[str, ...]
"""The names of what an image is of; one, unless images may be of several classes."""


@dataclass(slots=True, kw_only=True)
class Classified(Examples[T, Classes]):
    """The examples of a split, and what is known of their classes."""

    target: str
    """Column of the classes."""

    several: bool
    """Whether an image may be of several classes, or of none."""

    declared: Classes = ()
    """Names of the classes where the data declare them."""

    @property
    def used(self) -> frozenset[str]:
        """The classes that examples are of."""
        return frozenset(name for each in self.examples for name in each.label)

    @property
    def classes(self) -> Classes:
        """The names of the classes, in the order in which a model numbers them."""
        return self.declared or in_order(self.used)

    @property
    def counts(self) -> dict[str, int]:
        """How many examples each class has."""
        counted = Counter(name for each in self.examples for name in each.label)
        return {name: counted[name] for name in self.classes}


def read(
    split: Split,
    rows: Iterable[tuple[int, Row]],
    params: ImageParams,
    keep: Callable[[bytes], T],
) -> Classified[T]:
    """Return the examples in `rows` of `split`; `keep` is called with the bytes of each image.

    The first cell that says something tells whether images may be of several classes. Raises
    `BadData`, naming the column or the row.
    """
    image = image_column(split, params.image_column)
    target = chosen(split, params.target_column, TARGETS, "--target-column", taken=[image])
    labels = Labels.of(split, target)
    rows, several = _peeked(rows, target)

    def label(row: Row, number: int) -> Classes | None:
        if several:
            return labels.classes_of(row.get(target), number)
        name = labels.class_of(row.get(target), number)
        return None if name is None else (name,)

    found: Classified[T] = Classified(
        source=split.source, target=target, several=several, declared=labels.declared
    )
    return collect(found, image, rows, keep, label)


def _peeked(rows: Iterable[tuple[int, Row]], target: str) -> tuple[Iterable[tuple[int, Row]], bool]:
    """Return the same rows, and whether the first that says a class says a list of them."""
    rows, seen = iter(rows), []
    for numbered in rows:
        seen.append(numbered)
        if not missing(cell := numbered[1].get(target)):
            return chain(seen, rows), are_lists([cell])
    return seen, False


def held_out(found: Classified[Any], share: float, *, seed: int) -> frozenset[int]:
    """Return which are kept back, by place: of each class the same share, if images are of one."""
    if found.several:
        return hold_out(len(found.examples), share, seed)
    return hold_out_of_each([each.label[0] for each in found.examples], share, seed)
