"""What a column of a table is: numbers, categories, or nothing that a model can learn from.

Told by its cells alone, the same way before a job and in it. Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from worker.splits import missing

Kind = Literal["number", "category", "date", "text"]

MOSTLY = 0.9
"""Share of the cells that decides what a column is; the others in it are slips."""

WORDS_KEPT = 200
"""Words of a column of texts that are learned from: those that are in most of the rows."""

DATE_PARTS = ("year", "month", "day", "day_of_week", "day_of_year", "hour")
"""What a model is given of a date, as pandas calls it."""

MONTHS = 12

MANY = 20
"""Different texts from which on a column may be free text."""

SAME_OFTEN = 0.5
"""Different texts for each row, above which a column is free text or a name, and no category."""

WORDS = 3
"""Words of a cell, on average, from which on texts that are nearly all different are free text; of
fewer they are names."""

FEW_ROWS = 10
"""Rows below which numbers that happen to follow each other say nothing."""

_COMMAS = re.compile(r"[-+]?\d{1,3}(,\d{3})*(\.\d+)?")
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|(\d{1,2})[./-](\d{1,2})[./-](\d{2}|\d{4})( .*)?"
)
_ID = re.compile(r"(^|[\W_])(id|index|uuid|guid|key)$|^(id|index|unnamed)\b|[a-z]I[dD]$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """What a column was found to be."""

    name: str
    kind: Kind | None
    """None for a column that is left out."""

    why: str = ""
    """Why it is left out."""

    gaps: int = 0
    """Cells that say nothing."""

    odd: tuple[str, ...] = ()
    """Cells of a column of numbers or dates that are none, and count as missing."""

    different: int = 0
    """Different values."""

    day_first: bool = False
    """Whether its dates are written with the day before the month: 31.12.2024."""

    instead: str = ""
    """The flag that takes a column that is left out all the same; empty where none would help."""


def number(cell: Any) -> float | None:
    """Return the cell as a number: true is 1, false 0; none where it is no number."""
    if isinstance(cell, str):
        text = cell.strip().lower()
        if text in {"true", "false"}:
            return float(text == "true")
        cell = text.replace("_", "x")  # Python reads 1_000, and people do not write it
    if not isinstance(cell, int | float | str | Decimal):
        return None
    try:
        read = float(cell)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def text(cell: Any) -> str | None:
    """Return the cell as the name of a category; none where it says nothing."""
    if missing(cell):
        return None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # gaps make floats of whole numbers
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell).strip()


def is_date(cell: Any) -> bool:
    """Whether a cell is a day of a calendar, with or without a time."""
    if isinstance(cell, date | datetime):
        return True
    return isinstance(cell, str) and bool(_DATE.fullmatch(cell.strip()))


def day_first(cells: Iterable[Any]) -> bool:
    """Whether dates are written with the day first: with points, or where it cannot be a month."""
    for cell in cells:
        found = _DATE.fullmatch(cell.strip()) if isinstance(cell, str) else None
        if found and found[2]:
            if int(found[2]) > MONTHS or "." in cell:
                return True
            if int(found[3]) > MONTHS:
                return False
    return False


def told(name: str, cells: Sequence[Any], wanted: Kind | None = None) -> Column:
    """Return what the column is, or is to be where users say so."""
    filled = [cell for cell in cells if not missing(cell)]
    gaps = len(cells) - len(filled)
    if not filled:
        return Column(name, None, "it is empty", gaps)
    if isinstance(filled[0], list | dict | bytes):
        return Column(name, None, "it holds lists, objects or files", gaps)
    different = {text(cell) for cell in filled}
    if wanted in {"category", "text"}:
        return Column(name, wanted, gaps=gaps, different=len(different))
    if len(different) == 1 and not gaps:
        return Column(name, None, f"it always says {next(iter(different))}", gaps)
    odd = tuple(str(cell) for cell in filled if number(cell) is None)
    if wanted == "number" or len(odd) <= (1 - MOSTLY) * len(filled):
        why = "" if wanted else _only_counts(name, filled, len(different))
        kind: Kind | None = None if why else "number"
        instead = "--numerical-columns" if why else ""
        return Column(name, kind, why, gaps, odd, len(different), instead=instead)
    return _of_texts(name, filled, gaps, odd, len(different))


def _of_texts(
    name: str, filled: Sequence[Any], gaps: int, odd: Sequence[str], different: int
) -> Column:
    if sum(map(is_date, filled)) >= MOSTLY * len(filled):
        odd = [str(cell) for cell in filled if not is_date(cell)]
        return Column(name, "date", "", gaps, tuple(odd), different, day_first(filled))
    if different > MANY and different > SAME_OFTEN * len(filled):
        if sum(map(_has_commas, filled)) >= MOSTLY * len(filled):
            why = f'its numbers have commas in them, such as "{odd[0]}": write them without'
            return Column(name, None, why, gaps)
        if len(odd) <= len(filled) / 2:
            why = f'{len(odd):,} of its {len(filled):,} cells are no numbers, such as "{odd[0]}"'
            return Column(name, None, why, gaps, instead="--numerical-columns")
        if sum(len(str(cell).split()) for cell in filled) >= WORDS * len(filled):
            return Column(name, "text", gaps=gaps, different=different)
        why = f"it says something else in nearly every row ({different:,} texts)"
        return Column(name, None, why, gaps, instead="--text-columns")
    return Column(name, "category", gaps=gaps, different=different)


def _has_commas(cell: Any) -> bool:
    return isinstance(cell, str) and bool(_COMMAS.fullmatch(cell.strip()))


def _only_counts(name: str, filled: Sequence[Any], different: int) -> str:
    """Return why a column of numbers only names the rows; empty where it may say more."""
    values = [value for value in map(number, filled) if value is not None]
    whole = all(value.is_integer() for value in values)
    if not whole or different < len(filled) or len(filled) < FEW_ROWS:
        return ""
    if max(values) - min(values) == len(values) - 1:
        return "it counts the rows"
    return "it names the rows" if _ID.search(name) else ""
