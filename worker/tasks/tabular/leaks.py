"""Whether a column gives the answer away: alone it tells the target nearly without an error.

Such a column is mostly the target under another name, or something that is known only afterwards.
Standard library only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from worker.tasks.tabular.columns import Column, number, text

NEARLY = 0.02
"""Share of the errors of a guess that looks at no column, up to which a column tells all."""

EXPLAINED = 0.998
"""Share of the variance of numbers, from which on a column tells them."""

OFTEN = 5
"""Rows of each value above which it is no chance that a column's values tell the class."""

Target = Sequence[str | float]


def gives_away(column: Column, cells: Sequence[Any], told: Target) -> str:
    """Return how surely the column tells the target, in words; empty where it does not."""
    if column.kind not in {"number", "category"} or column.different < 2:  # noqa: PLR2004
        return ""
    numbers = [value for value in told if isinstance(value, float)]
    few = column.different <= max(len(set(told)) if not numbers else 0, len(told) / OFTEN)
    if numbers:
        share = _explained_by_values(cells, numbers) if few else 0.0
        if column.kind == "number":
            share = max(share, _explained_by_line(cells, numbers))
        return f"to {100 * share:.3g}% of its variance" if share >= EXPLAINED else ""
    labels = list(map(str, told))
    if few:
        return _surely(_errors_by_value(cells, labels), labels)
    return _surely(_errors_in_order(cells, labels), labels) if column.kind == "number" else ""


def _surely(errors: float, labels: Sequence[str]) -> str:
    (_, most), *_ = Counter(labels).most_common(1)
    if errors == 0:
        return "in every row"
    if errors > NEARLY * (len(labels) - most):
        return ""
    return f"in {1 - errors / len(labels):.2%} of the rows"


def _errors_by_value(cells: Iterable[Any], labels: Iterable[str]) -> int:
    """Return the errors of who knows the commonest class of each value."""
    counts: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for cell, label in zip(cells, labels, strict=True):
        counts[text(cell)][label] += 1
    return sum(found.total() - max(found.values()) for found in counts.values())


def _errors_in_order(cells: Iterable[Any], labels: Sequence[str]) -> float:
    """Return about how many errors are made by who cuts the numbers into one range a class.

    Rows in the order of their numbers then change their class once between two ranges; each row
    on the wrong side makes two changes more.
    """
    placed = [(number(cell), label) for cell, label in zip(cells, labels, strict=True)]
    known = sorted((value, label) for value, label in placed if value is not None)
    order = [label for _, label in known]
    changes = sum(one != other for one, other in pairwise(order))
    return max(0, changes - len(set(labels)) + 1) / 2 + len(placed) - len(known)


def _explained_by_values(cells: Iterable[Any], told: Sequence[float]) -> float:
    """Return the share of the variance that lies between the values of a column."""
    groups: defaultdict[str | None, list[float]] = defaultdict(list)
    for cell, value in zip(cells, told, strict=True):
        groups[text(cell)].append(value)
    whole = _squares(told)
    return 1 - sum(map(_squares, groups.values())) / whole if whole else 0.0


def _explained_by_line(cells: Iterable[Any], told: Sequence[float]) -> float:
    """Return the square of Pearson's correlation, gaps left out."""
    pairs = [(x, y) for cell, y in zip(cells, told, strict=True) if (x := number(cell)) is not None]
    if not pairs:
        return 0.0
    xs, ys = ([float(pair[i]) for pair in pairs] for i in (0, 1))
    x0, y0 = sum(xs) / len(xs), sum(ys) / len(ys)
    both = sum((x - x0) * (y - y0) for x, y in pairs)
    spread = _squares(xs) * _squares(ys)
    return both * both / spread if spread else 0.0


def _squares(values: Sequence[float]) -> float:
    """Return the sum of squares around the mean."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values)
