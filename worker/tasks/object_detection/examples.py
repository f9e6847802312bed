"""Images and the objects on them. Light: both the check and the training read rows with this."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from worker.exchange import Region
from worker.families.columns import chosen
from worker.families.labels import Labels
from worker.families.pictures.examples import Examples, collect, image_column
from worker.splits import Row, Split, in_order
from worker.tasks.object_detection.boxes import CATEGORIES, NoObjects, Object, boxes_in, objects_of
from worker.tasks.object_detection.params import DetectionParams

T = TypeVar("T")

OBJECTS = ("objects", "object", "annotations")
"""Usual names of the column of objects, for users who name none."""

Objects = tuple[Object, ...]


@dataclass(slots=True, kw_only=True)
class Annotated(Examples[T, Objects]):
    """The examples of a split, and what is known of their classes."""

    column: str
    """Column of the objects."""

    declared: tuple[str, ...] = ()
    """Names of the classes where the data declare them."""

    broken: dict[str, list[int]] = field(default_factory=dict)
    """Rows whose objects cannot be read, by what is wrong with them."""

    @property
    def counts(self) -> dict[str, int]:
        """How many boxes each class has."""
        counted = Counter(one.name for each in self.examples for one in each.label)
        return {name: counted[name] for name in self.declared or in_order(counted)}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order in which a model numbers them."""
        return tuple(self.counts)

    @property
    def used(self) -> frozenset[str]:
        """The classes that boxes are of."""
        return frozenset(name for name, count in self.counts.items() if count)

    @property
    def background(self) -> int:
        """How many images nothing is on."""
        return sum(not each.label for each in self.examples)


def read(
    split: Split,
    rows: Iterable[tuple[int, Row]],
    params: DetectionParams,
    keep: Callable[[bytes], T],
) -> Annotated[T]:
    """Return the examples in `rows` of `split`; `keep` is called with the bytes of each image.

    An image without objects is an example too. Raises `BadData`, naming the column or the row.
    """
    image = image_column(split, params.image_column)
    column = chosen(split, params.objects_column, OBJECTS, "--objects-column", taken=[image])
    labels = _labels(split, column)
    found: Annotated[T] = Annotated(source=split.source, column=column, declared=labels.declared)

    def label(row: Row, number: int) -> Objects:
        try:
            return objects_of(row.get(column), labels, number)
        except NoObjects as error:
            found.broken.setdefault(str(error), []).append(number)
            return ()

    return collect(found, image, rows, keep, label)


def drawn(row: Row, column: str) -> list[Region]:
    """Return the boxes of a row for people to look at, in `column` or where they usually are.

    Categories are named as they stand there; a row that cannot be read has none.
    """
    cell = next((row[name] for name in (column, *OBJECTS) if name in row), None)
    try:
        return [Region(*box, name=str(category)) for box, category in boxes_in(cell)]
    except NoObjects:
        return []


def _labels(split: Split, column: str) -> Labels:
    """Return what reads the categories, with the names that the data declare for them."""
    paths = [f"{column}.{name}" for name in CATEGORIES]
    path = next((path for path in paths if path in split.classes), paths[0])
    return Labels.of(split, path, "--objects-column")
