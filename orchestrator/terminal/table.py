"""Tables without lines: cells padded, and cut where a terminal is too narrow.

Thousands of rows are laid out in the time that others take for a few.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

GAP = "  "
"""What stands between two columns."""

LEAST = 4
"""Columns of the screen that a cell which is cut keeps at least."""


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], whole: int, room: int | None
) -> list[list[str]]:
    """Return the cells of the header and of each row, as wide as their columns.

    More than `room` columns of the screen are not taken if cutting cells helps; those of the first
    `whole` columns are never cut. Without `room` nothing is.
    """
    cells = [columns, *rows]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    if room is not None:
        widths = _narrowed(widths, whole, room)
    last = len(widths) - 1
    return [
        [
            _cut(cell, size) if at == last else _padded(cell, size)
            for at, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]


def width(text: str) -> int:
    """Return how many columns of a screen a text takes."""
    if text.isascii():
        return len(text)
    return sum(_of_character(one) for one in text)


def _of_character(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in {"W", "F"} else 1


def _narrowed(widths: list[int], whole: int, room: int) -> list[int]:
    widths = list(widths)
    while sum(widths) + len(GAP) * (len(widths) - 1) > room:
        widest = max(range(whole, len(widths)), key=lambda at: widths[at], default=None)
        if widest is None or widths[widest] <= LEAST:
            break
        widths[widest] -= 1
    return widths


def _padded(cell: str, size: int) -> str:
    if cell.isascii() and len(cell) <= size:  # most are
        return cell.ljust(size)
    cell = _cut(cell, size)
    return cell + " " * (size - width(cell))


def _cut(cell: str, size: int) -> str:
    if width(cell) <= size:
        return cell
    kept = ""
    for one in cell:
        if width(kept + one) > size - 1:
            break
        kept += one
    return f"{kept}…"
