"""The examples: which columns hold them, and what a row of them says. Light: no PIL.

Both the check and the training read rows with this. What becomes of an image's bytes is for them to
say: the check looks at how they begin and end, the training keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from worker.columns import no_column
from worker.errors import BadData
from worker.families.labels import Labels, shown
from worker.imagefile import READABLE, is_cut_short, is_damaged, kind_of, too_large
from worker.splits import Row, Split, hold_out_of_each, in_order, parted
from worker.tasks.image_classification.params import ImageParams

T = TypeVar("T")

IMAGES = ("image", "images", "img", "picture", "photo")
TARGETS = ("target", "label", "labels", "class")
"""Usual names of the two columns, for users who name none."""


@dataclass(frozen=True, slots=True)
class Example(Generic[T]):
    """An image and its class."""

    row: int
    """Where a person finds it: its line, or its place from 1."""

    image: T
    label: str


@dataclass(slots=True)
class Examples(Generic[T]):
    """The examples of a split, and the rows that are none."""

    source: str
    target: str
    """Column of the classes."""

    declared: tuple[str, ...] = ()
    """Names of the classes where the data declare them."""

    read: int = 0
    examples: list[Example[T]] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    unlabelled: list[int] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    photos_of_phones: int = 0
    """How many of the unreadable are HEIC."""

    too_large: list[int] = field(default_factory=list)
    """Rows whose image would fill the memory; they are left out."""

    damaged: list[int] = field(default_factory=list)
    """Rows whose image ends too early; they are kept."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order in which a model numbers them."""
        return self.declared or in_order({example.label for example in self.examples})

    @property
    def counts(self) -> dict[str, int]:
        """How many examples each class has."""
        counts = dict.fromkeys(self.classes, 0)
        for example in self.examples:
            counts[example.label] += 1
        return counts


def read(
    split: Split,
    params: ImageParams,
    rows: Iterable[tuple[int, Row]],
    keep: Callable[[bytes], T],
) -> Examples[T]:
    """Return the examples in `rows` of `split`; `keep` is called with the bytes of each image.

    Raises `BadData`, naming the column or the row.
    """
    image = _column(split, "image", params.image_column, IMAGES)
    target = _column(split, "target", params.target_column, TARGETS)
    labels = Labels.of(split, target)
    found: Examples[T] = Examples(split.source, target, labels.declared)
    for number, row in rows:
        found.read += 1
        content = _content(row.get(image), image, split.source)
        label = labels.class_of(row.get(target), number)
        if label is None:
            found.unlabelled.append(number)
        elif not content:
            found.empty.append(number)
        elif (kind := kind_of(content)) not in READABLE:
            found.unreadable.append(number)
            found.photos_of_phones += kind == "HEIC"
        elif too_large(content):
            found.too_large.append(number)
        else:
            if is_cut_short(content) or is_damaged(content):
                found.damaged.append(number)
            found.examples.append(Example(number, keep(content), label))
    return found


def _column(split: Split, what: str, asked: str, usual: Sequence[str]) -> str:
    """Return the column of the images or classes: the one asked for, or one usually called so."""
    if asked in split.columns:
        return asked
    if asked == usual[0]:  # nobody named one
        for name in usual:
            if name in split.columns:
                return name
    others = [c for c in split.columns if c not in IMAGES]
    only = ("It may be", others[0]) if what == "target" and len(others) == 1 else ("", "")
    raise no_column(asked, split.columns, split.source, f"--{what}-column", else_=only)


def _content(cell: Any, column: str, source: str) -> bytes:
    """Return an image's bytes as they are stored; none of an empty cell."""
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


def divided(
    found: Examples[T], valid: Examples[T] | None, params: ImageParams
) -> tuple[list[Example[T]], list[Example[T]]]:
    """Return the examples to train on and those to validate on.

    A split called `valid` outranks a share to hold out.
    """
    if valid is not None:
        return found.examples, valid.examples
    if params.valid_share is None:
        return found.examples, []
    labels = [example.label for example in found.examples]
    return parted(found.examples, hold_out_of_each(labels, params.valid_share, params.seed))
