"""Tables without lines: cells padded, and made to fit where a terminal is too narrow.

Thousands of rows are laid out in the time that others take for a few.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

GAP = "  "
"""What stands between two columns."""

READABLE = 16
"""Columns of the screen that a cell which is cut keeps while there is a column to leave out."""

LEAST = 4
"""Columns of the screen that a cell which is cut keeps at least."""


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    whole: int,
    room: int | None,
    spare: Sequence[str] = (),
) -> list[list[str]]:
    """Return the cells of the header and of each row, as wide as their columns.

    More than `room` columns of the screen are not taken if that helps: long cells are cut, then
    columns left out, the first of those named in `spare` first, then cells cut to almost nothing.
    Those of the first `whole` columns are never cut. Without `room` all is as it is.
    """
    cells = [columns, *rows]
    widths = dict(enumerate(max(map(width, column)) for column in zip(*cells, strict=True)))
    if room is not None:
        widths = _fitted(widths, whole, room, [columns.index(name) for name in spare])
    *before, (last, end) = widths.items()
    return [
        [*(_padded(row[at], size) for at, size in before), _cut(row[last], end)] for row in cells
    ]


def width(text: str) -> int:
    """Return how many columns of a screen a text takes."""
    if text.isascii():
        return len(text)
    return sum(_of_character(one) for one in text)


def _of_character(one: str) -> int:
    if unicodedata.category(one) in {"Mn", "Me", "Cf"}:  # it is drawn onto the one before, or not
        return 0
    return 2 if unicodedata.east_asian_width(one) in {"W", "F"} else 1


def _fitted(widths: dict[int, int], whole: int, room: int, spare: list[int]) -> dict[int, int]:
    """Return the columns that there is room for, by their place, and how wide each is."""
    for left_out in range(len(spare) + 1):
        kept = {at: size for at, size in widths.items() if at not in spare[:left_out]}
        narrow = _narrowed(kept, whole, room, READABLE)
        if _taken(narrow) <= room:
            return narrow
    return _narrowed(narrow, whole, room, LEAST)


def _narrowed(widths: dict[int, int], whole: int, room: int, least: int) -> dict[int, int]:
    """Return columns made narrower, the widest first, none of them than `least`."""
    widths = dict(widths)
    while _taken(widths) > room:
        widest = max((at for at in widths if at >= whole), key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= least:
            break
        widths[widest] -= 1
    return widths


def _taken(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)


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
