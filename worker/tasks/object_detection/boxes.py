"""Boxes as cells hold them, and what may be wrong with one. Light: plain numbers.

A box is x, y, width, height in pixels from the upper left corner, as COCO has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from worker.families.labels import Labels, listed

BOXES = ("bbox", "bboxes", "box", "boxes")
CATEGORIES = ("category", "categories", "category_id", "category_ids", "label", "labels")
"""Usual names of the two within a cell, the first of them AutoTrain's."""

SLACK = 1.0
"""Pixels that a box may be outside of its image, by rounding, without a word."""


class Box(NamedTuple):
    """A part of an image, in pixels."""

    x: float
    y: float
    width: float
    height: float

    def within(self, size: tuple[int, int]) -> Box:
        """Return the part of it that is on an image of this width and height."""
        x, y = max(0.0, self.x), max(0.0, self.y)
        right, bottom = min(self.x + self.width, size[0]), min(self.y + self.height, size[1])
        return Box(x, y, right - x, bottom - y)

    @property
    def empty(self) -> bool:
        """Whether nothing is in it."""
        return self.width <= 0 or self.height <= 0


@dataclass(frozen=True, slots=True)
class Object:
    """Something on an image."""

    name: str
    box: Box


class NoObjects(ValueError):
    """A cell that cannot be read as objects; says why, to follow the row."""


def objects_of(cell: Any, labels: Labels, row: int) -> tuple[Object, ...]:
    """Return the objects in a cell: none for an image of nothing.

    It is a dict of lists, or a list of dicts, or the text of one. `labels` reads categories. Raises
    `NoObjects`, and `BadData` for a category that is none.
    """
    found = []
    for box, category in boxes_in(cell):
        name = labels.class_of(category, row)
        if name is None:
            raise NoObjects("a box without a category")
        found.append(Object(name, box))
    return tuple(found)


def boxes_in(cell: Any) -> list[tuple[Box, Any]]:
    """Return the boxes in a cell, each with its category as it stands there. Raises `NoObjects`."""
    boxes, categories = _two_lists(_read(cell))
    if len(boxes) != len(categories):
        raise NoObjects(f"{len(boxes)} boxes and {len(categories)} categories")
    return list(zip(map(_box, boxes), categories, strict=True))


def _read(cell: Any) -> Any:
    if not isinstance(cell, str):
        return [] if cell is None else cell
    if not cell.strip():
        return []
    read = listed(f"[{cell}]")  # a dict in a list, so that one reader takes both
    return read[0] if isinstance(read, list) and len(read) == 1 else cell


def _two_lists(cell: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return boxes and categories of a cell. Raises `NoObjects`."""
    if isinstance(cell, Mapping):
        boxes, categories = _named(cell, BOXES), _named(cell, CATEGORIES)
    elif isinstance(cell, list | tuple) and all(isinstance(one, Mapping) for one in cell):
        boxes = [_named(one, BOXES) for one in cell]
        categories = [_named(one, CATEGORIES) for one in cell]
    else:
        raise NoObjects("no boxes with categories")
    boxes, categories = ([] if one is None else one for one in (boxes, categories))
    if not isinstance(boxes, list | tuple) or not isinstance(categories, list | tuple):
        raise NoObjects("no lists of boxes and categories")
    return boxes, categories


def _named(cell: Mapping[str, Any], usual: Sequence[str]) -> Any:
    name = next((name for name in usual if name in cell), None)
    if name is None:
        raise NoObjects(f"no {usual[0]}")
    return cell[name]


def _box(numbers: Any) -> Box:
    try:
        x, y, width, height = (float(n) for n in numbers)
    except (TypeError, ValueError):
        raise NoObjects("a box that is not four numbers") from None
    if not all(map(math.isfinite, (x, y, width, height))):
        raise NoObjects("a box that is not four numbers")
    return Box(x, y, width, height)


@dataclass(slots=True)
class Checked:
    """How many boxes of a split are which way odd, and the rows that have one."""

    outside: list[int]
    """Rows with a box of which nothing is on the image: it is left out."""

    across: list[int]
    """Rows with a box that reaches out of the image: it is cut off."""

    flat: list[int]
    """Rows with a box without width or height: it is left out."""

    corners: int = 0
    """Boxes that reach out of their image, and would not if their last numbers were a corner."""

    shares: int = 0
    """Boxes of which all four numbers are at most 1, as if they were shares of the image."""

    boxes: int = 0
    turned: int = 0
    """Boxes on photos that their EXIF turns."""

    stored: int = 0
    """Those among them that reach out of the photo as it is shown, and not as it is stored."""


Looked = tuple[int, Sequence[Object], tuple[int, int] | None, bool]
"""Number of a row, its objects, the size of its image as it is shown, and whether it is turned."""


def checked(rows: Iterable[Looked]) -> Checked:
    """Return what is odd about boxes."""
    found = Checked([], [], [])
    for row, objects, size, turned in rows:
        boxes = [one.box for one in objects]
        for fault in {fault for box in boxes if (fault := _fault(found, box, size))}:
            getattr(found, fault).append(row)
        if size and turned:
            found.turned += len(boxes)
            found.stored += sum(_beyond(b, size[::-1]) <= SLACK < _beyond(b, size) for b in boxes)
    return found


def _fault(found: Checked, box: Box, size: tuple[int, int] | None) -> str:
    """Return which list of `found` a box belongs to, and count it."""
    found.boxes += 1
    found.shares += max(box) <= 1
    if box.empty:
        return "flat"
    if size is None:
        return ""
    if box.within(size).empty:
        return "outside"
    if _beyond(box, size) <= SLACK:
        return ""
    width, height = size
    found.corners += box.x < box.width <= width and box.y < box.height <= height
    return "across"


def _beyond(box: Box, size: tuple[int, int]) -> float:
    """Return by how many pixels a box reaches out of an image."""
    width, height = size
    return max(box.x + box.width - width, box.y + box.height - height, -box.x, -box.y)
