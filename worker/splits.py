"""Rows as tasks see them, on the laptop before anything is rented and on the machine that trains.

And which of them are learned from and which judge. Knows neither where rows come from nor what a
task makes of them. Standard library only.
"""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")

Row = Mapping[str, Any]
"""One example as it was read: column name to value."""


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of one split, or the first of them. `rows` is read once."""

    source: str
    """What messages call it: a file name, or a repo and its split."""

    columns: tuple[str, ...]
    rows: Iterable[tuple[int, Row]]
    """Each row with the number a person finds it by: its line, or its place from 1."""

    total: int
    """Rows of the whole split; an estimate where only the first were read."""

    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column to the names of its classes, where the data declare them. Cells of such a column are
    places in the names; only CSV and JSONL may hold the names themselves. A nested column is called
    by its path: `objects.category`."""

    def first(self, most: int | None) -> Iterator[tuple[int, Row]]:
        """Return the first `most` rows, or all: what `max_samples` leaves of a training split."""
        return islice(self.rows, most)


Splits = Mapping[str, Split]
"""`train`, and `valid` where the data has a validation split of its own."""


_MISSING = """
#N/A #NA -1.#IND -1.#QNAN -NaN -nan 1.#IND 1.#QNAN N/A NA NULL NaN n/a nan null ?
"""
MISSING = frozenset({"", "#N/A N/A", *_MISSING.split()})
"""Text of a cell that says nothing: what CSV readers take so, and the question mark."""


def missing(cell: Any) -> bool:
    """Whether a cell says nothing."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell.strip() in MISSING
    return isinstance(cell, float) and math.isnan(cell)


def hold_out(rows: int, share: float, seed: int) -> frozenset[int]:
    """Return which of `rows` rows, counted from 0, are kept back for validation.

    At least one and never all of them; the same seed keeps back the same rows.
    """
    if rows < 2:  # noqa: PLR2004
        return frozenset()
    count = min(max(1, round(rows * share)), rows - 1)
    return frozenset(random.Random(seed).sample(range(rows), count))


def hold_out_of_each(labels: Sequence[str], share: float, seed: int) -> frozenset[int]:
    """Return which rows are kept back for validation, by place: of each class the same share.

    `labels` are the rows' classes. Of a class with more than one row at least one is kept back and
    never all; the same seed keeps back the same rows.
    """
    held: set[int] = set()
    for places in by_class(labels, seed):
        held.update(places[: min(max(1, round(len(places) * share)), len(places) - 1)])
    return frozenset(held)


def by_class(labels: Sequence[str], seed: int) -> Iterator[list[int]]:
    """Yield the places of each class, shuffled."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        places[label].append(place)
    chance = random.Random(seed)
    for label in in_order(places):
        chance.shuffle(places[label])
        yield places[label]


def parted(rows: Sequence[T], held: Container[int]) -> tuple[list[T], list[T]]:
    """Return the rows to learn from, and those that are `held` out, by place, to judge by."""
    kept = [row for place, row in enumerate(rows) if place not in held]
    return kept, [row for place, row in enumerate(rows) if place in held]


_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of classes as people count: 9 before 10, and numbers before words."""

    def key(name: str) -> tuple[bool, float, str]:
        number = _NUMBER.fullmatch(name)
        return not number, float(name) if number else 0.0, name

    return tuple(sorted(names, key=key))
