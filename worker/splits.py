"""Rows as tasks see them, on the laptop before anything is rented and on the machine that trains.

Knows neither where rows come from nor what a task makes of them. Standard library only.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
