"""Pictures in rows: which column holds them, and which rows are no examples. Light: no PIL.

Both the check and the training read rows with this. What becomes of an image's bytes is for them to
say: the check looks at how they begin and end, the training keeps them. What is learned of an image
is a label of whatever type a task has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from worker.errors import BadData
from worker.families.columns import chosen
from worker.families.corpus import Found, FromRow
from worker.families.labels import shown
from worker.imagefile import (
    READABLE,
    is_cut_short,
    is_damaged,
    is_turned,
    kind_of,
    size_of,
    too_large,
)
from worker.splits import Row, Split

T = TypeVar("T")
L = TypeVar("L")

IMAGES = ("image", "images", "img", "picture", "photo")
"""Usual names of the column of images, for users who name none."""


@dataclass(frozen=True, slots=True)
class Example(FromRow, Generic[T, L]):
    """An image and what is to be learned of it."""

    image: T
    label: L
    size: tuple[int, int] | None = None
    """Width and height in pixels, as it is shown; none where its file's header does not tell."""

    turned: bool = False
    """Whether it is stored with its sides changed, as cameras do that are held upright."""


@dataclass(slots=True)
class Examples(Found[Example[T, L]]):
    """The examples of a split, and the rows that are none."""

    unlabelled: list[int] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    photos_of_phones: int = 0
    """How many of the unreadable are HEIC."""

    too_large: list[int] = field(default_factory=list)
    """Rows whose image would fill the memory; they are left out."""

    damaged: list[int] = field(default_factory=list)
    """Rows whose image ends too early; they are kept."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the images whose headers tell."""
        return [each.size for each in self.examples if each.size]


E = TypeVar("E", bound=Examples[Any, Any])


def collect(
    found: E,
    image: str,
    rows: Iterable[tuple[int, Row]],
    keep: Callable[[bytes], Any],
    label: Callable[[Row, int], Any],
) -> E:
    """Return `found` with the examples in `rows`, whose images are in the column `image`.

    `keep` is called with the bytes of each image, `label` with each row and its number; it returns
    none for a row without a label. Raises `BadData`, naming the column or the row.
    """
    for number, row in rows:
        found.read += 1
        content, said = content_of(row.get(image), image, found.source), label(row, number)
        if said is None:
            found.unlabelled.append(number)
        elif _usable(found, number, content):
            turned = is_turned(content)
            size = size_of(content, turned=turned)
            found.examples.append(Example(number, keep(content), said, size, turned))
    return found


def _usable(found: Examples[Any, Any], number: int, content: bytes) -> bool:
    """Return whether an image can be shown to a model; what is wrong with it is noted."""
    if not content:
        found.empty.append(number)
    elif (kind := kind_of(content)) not in READABLE:
        found.unreadable.append(number)
        found.photos_of_phones += kind == "HEIC"
    elif too_large(content):
        found.too_large.append(number)
    else:
        if is_cut_short(content) or is_damaged(content):
            found.damaged.append(number)
        return True
    return False


def image_column(split: Split, asked: str) -> str:
    """Return the column of the images. Raises `BadData`."""
    return chosen(split, asked, IMAGES, "--image-column")


def content_of(cell: Any, column: str, source: str) -> bytes:
    """Return an image's bytes as they are stored; none of an empty cell. Raises `BadData`."""
    if isinstance(cell, Mapping) and "bytes" in cell:
        cell = cell["bytes"]
    if cell is None:
        return b""
    if isinstance(cell, bytes | bytearray):
        return bytes(cell)
    raise BadData(
        f'the column "{column}" of {source} holds {shown(cell)} and no images.',
        fix="--image-column with the column of the images",
    )


def nothing(content: bytes) -> None:
    """Keep nothing of an image: the check needs only to know that there is one."""
