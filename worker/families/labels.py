"""What a cell says of its example: a class, several classes, or a number.

Light: both the check and the training read labels with this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.errors import BadData
from worker.literal import literal
from worker.splits import Split, missing

NONE_OF_THEM = -1
"""How a ClassLabel of the library datasets says that it has none."""


LARGEST = 1e30
"""No larger number is learned: weights of 32 bits could not say it."""


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of labels."""

    source: str
    column: str
    flag: str = "--target-column"
    """What to type for another column."""

    declared: tuple[str, ...] = ()
    """Names of the classes where the data declare them, in the order of their numbers."""

    @classmethod
    def of(cls, split: Split, column: str, flag: str = "--target-column") -> Labels:
        """Return the column of a split, with the classes that its data declare."""
        return cls(split.source, column, flag, split.classes.get(column, ()))

    def class_of(self, cell: Any, row: int) -> str | None:
        """Return the name of a row's class; none where it has none. Raises `BadData`.

        A number among declared names is the place of one; else whatever is written is the name,
        with 1.0 for 1. `row` is where a person finds it.
        """
        if missing(cell) and cell not in self.declared:
            return None
        if isinstance(cell, bool):
            return str(cell)
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        if isinstance(cell, int):
            if not self.declared:
                return str(cell)
            if cell == NONE_OF_THEM:
                return None
            if 0 <= cell < len(self.declared):
                return self.declared[cell]
        elif isinstance(cell, str) and (not self.declared or cell in self.declared):
            return cell
        if self.declared:
            raise BadData(
                f"{self._where(row)} says {cell!r:.50}, "
                f"which is none of its {len(self.declared)} classes."
            )
        raise self._wrong(row, cell, "names no class", "the classes")

    def classes_of(self, cell: Any, row: int) -> tuple[str, ...] | None:
        """Return the names of all classes of a row, each once; none where nothing is said.

        An empty list says that it is of no class. Text may be a list as JSON or Python write it.
        Raises `BadData`.
        """
        if missing(cell):
            return None
        if isinstance(cell, str):
            cell = listed(cell)
        if not isinstance(cell, list | tuple):
            raise self._wrong(row, cell, "is no list of classes", "the classes")
        named = (self.class_of(each, row) for each in cell)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def number_of(self, cell: Any, row: int) -> float | None:
        """Return the number of a row; none where it has none. Raises `BadData`.

        The place of a class is one too, as AutoTrain took it; what is infinite, or larger than
        `LARGEST`, is none that can be learned.
        """
        if missing(cell):
            return None
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise self._wrong(row, cell, "is no number", "the numbers")
        if abs(number) > LARGEST:
            raise self._wrong(row, number, "is too large to be learned", "the numbers")
        return number

    def _wrong(self, row: int, cell: Any, why: str, of: str) -> BadData:
        fix = f"{self.flag} with the column of {of}"
        return BadData(f"{self._where(row)} holds {shown(cell)}, which {why}.", fix=fix)

    def _where(self, row: int) -> str:
        return f'row {row} of {self.source}: the column "{self.column}"'


def listed(text: str) -> Any:
    """Return the list that a text is, as JSON or Python write one; the text itself if it is none.

    AutoTrain's CSV files hold Python's. Nothing in it is executed.
    """
    if not text.lstrip().startswith(("[", "(")):
        return text
    try:
        found = literal(text)
    except ValueError:
        return text
    return list(found) if isinstance(found, list | tuple) else text


def shown(cell: Any) -> str:
    """Return what a cell holds, in a few words."""
    if isinstance(cell, float):
        return f"numbers such as {cell:g}"
    if isinstance(cell, str):
        return f'text such as "{cell[:40]}"'
    return "lists" if isinstance(cell, list) else f"a {type(cell).__name__}"


def are_lists(cells: Sequence[Any]) -> bool:
    """Whether cells hold several labels each: every one that says something is a list."""
    said = [listed(c) if isinstance(c, str) else c for c in cells if not missing(c)]
    return bool(said) and all(isinstance(cell, list | tuple) for cell in said)
