"""Rows of an Excel workbook (.xlsx): its first visible sheet, read without a library.

Office Open XML, ISO/IEC 29500-1: a zip with the sheets, their texts (shared strings) and how
numbers are shown (styles), which tells dates from numbers. Formulas count as what they last came
to. Everything in it is a stranger's: parts are bounded, and XML that declares anything is refused.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from posixpath import join, normpath
from typing import Any
from xml.parsers import expat

import pyarrow as pa

from worker.errors import BadData
from worker.reading.files import DataFile
from worker.reading.kinds import HEAD, misnamed

LARGEST = 64 << 20
"""Bytes of a workbook that is read."""

LARGEST_PART = 512 << 20
"""Bytes of one of its parts, unpacked."""

MOST_COLUMNS, MOST_ROWS = 16_384, 1 << 20
"""Columns and rows a sheet of Excel can have."""

MOST_CELLS = 1 << 25
"""Cells that are read, those in between counted: two letters far apart would fill the memory."""

LONGEST_FORMAT = 255
"""Characters of a format in Excel."""

EXACT = 1e15
"""Below it every whole number is told from its neighbours; Excel keeps 15 digits."""

_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""Built-in formats that show a number as a date or a time."""

_NO_DATE = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|General|E[+-]', re.IGNORECASE)
_BROKEN = (
    zipfile.BadZipFile, zlib.error, expat.ExpatError,
    ArithmeticError, EOFError, LookupError, TypeError, ValueError,
)  # fmt: skip
"""What reading a workbook that is none may raise."""

Cell = str | int | float | None
Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of a sheet, and where they stand in it."""

    name: str
    table: pa.Table
    numbers: tuple[int, ...]
    """The number of each row, as Excel shows it."""

    others: tuple[str, ...] = ()
    """Other visible sheets of the workbook."""


def sheet(file: DataFile) -> Sheet:
    """Return the first visible sheet of a workbook. Raises `BadData`."""
    if file.size > LARGEST:
        raise BadData(
            f"{file.name} is a workbook of {file.size / 1e6:,.0f} MB, too large to read.",
            fix=f"soffice --headless --convert-to csv {file.name}",
        )
    with file.open() as stream:
        content = stream.read()
    if fault := misnamed(file.name, "xlsx", content[:HEAD]):
        raise fault
    return _sheet(file.name, content)


@lru_cache(maxsize=2)
def _sheet(name: str, content: bytes) -> Sheet:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _Book(name, archive).first()
    except _BROKEN as error:
        raise BadData(f"{name} is no Excel workbook, or a broken one ({error}).") from error
    except (NotImplementedError, RuntimeError) as error:  # a password, an unknown compression
        raise BadData(f"{name} cannot be opened: {error}.") from error


@dataclass
class _Book:
    name: str
    archive: zipfile.ZipFile
    texts: list[str] = field(default_factory=list)
    dates: list[bool] = field(default_factory=list)
    """Whether a style shows a date."""

    since: datetime = datetime(1899, 12, 30)
    """Day 0. Excel takes 1900 for a leap year, so that it is the right one from March 1900 on."""

    def first(self) -> Sheet:
        """Return the first visible sheet."""
        sheets = list(self._sheets())
        if not sheets:
            raise BadData(f"{self.name} has no visible sheet.")
        self.texts, self.dates = self._texts(), self._dates()
        (called, path), *others = sheets
        numbered = self._rows(path)
        if not numbered:
            raise BadData(f'{self.name}: the sheet "{called}" is empty.')
        (_, names), *rows = numbered
        numbers = tuple(number for number, _ in rows)
        found = [cells for _, cells in rows]
        return Sheet(called, self._table(names, found), numbers, tuple(n for n, _ in others))

    def _table(self, head: list[Cell], rows: list[list[Cell]]) -> pa.Table:
        width = max(map(len, (head, *rows)))
        columns = {}
        for at in range(width):
            cells = [row[at] if at < len(row) else None for row in rows]
            name = head[at] if at < len(head) else None
            if name is None:
                if any(cell is not None for cell in cells):
                    raise BadData(f"{self.name}: column {_letters(at)} has no name in its header.")
                continue
            if str(name) in columns:
                raise BadData(f"{self.name} has more than one column called {str(name)!r}.")
            columns[str(name)] = _column(cells)
        return pa.table(columns)

    def _sheets(self) -> Iterator[tuple[str, str]]:
        """Yield name and path of each visible sheet."""
        paths: dict[str, str] = {}

        def related(tag: str, has: Attributes) -> None:
            if tag == "Relationship":
                paths[has["Id"]] = normpath(join("/xl", has["Target"])).lstrip("/")

        found: list[tuple[str, str]] = []

        def listed(tag: str, has: Attributes) -> None:
            if tag == "workbookPr" and has.get("date1904") in {"1", "true"}:
                self.since = datetime(1904, 1, 1)
            if tag == "sheet" and has.get("state", "visible") == "visible":
                found.append((has["name"], has["id"]))

        self._parse("xl/_rels/workbook.xml.rels", related)
        self._parse("xl/workbook.xml", listed)
        yield from ((name, paths[key]) for name, key in found)

    def _texts(self) -> list[str]:
        found: list[str] = []
        parts: list[str] = []

        def end(tag: str, text: str) -> None:
            if tag == "t":
                parts.append(text)
            elif tag == "rPh":  # how it is spoken, in Japanese
                parts.pop()
            elif tag == "si":
                found.append(_unescaped("".join(parts)))
                parts.clear()

        self._parse("xl/sharedStrings.xml", end=end, needed=False)
        return found

    def _dates(self) -> list[bool]:
        codes: dict[int, str] = {}
        found: list[bool] = []
        inside = ""

        def start(tag: str, has: Attributes) -> None:
            nonlocal inside
            if tag in {"cellXfs", "cellStyleXfs", "dxfs"}:
                inside = tag
            elif tag == "numFmt":
                codes[int(has["numFmtId"])] = has.get("formatCode", "")[:LONGEST_FORMAT]
            elif tag == "xf" and inside == "cellXfs":
                found.append(_shows_date(int(has.get("numFmtId", 0)), codes))

        self._parse("xl/styles.xml", start, needed=False)
        return found

    def _rows(self, path: str) -> list[tuple[int, list[Cell]]]:
        rows = _Rows(self.name)
        kind, style, at, said, formula = "", 0, -1, "", False

        def start(tag: str, has: Attributes) -> None:
            nonlocal kind, style, at, said, formula
            if tag == "row":
                rows.begin(has.get("r"))
                at = -1
            elif tag == "c":
                kind, style, said = has.get("t", "n"), int(has.get("s", 0)), ""
                formula = False
                at = _place(has["r"]) if "r" in has else at + 1

        def end(tag: str, text: str) -> None:
            nonlocal said, formula
            if tag in {"v", "t"}:
                said += text
            elif tag == "rPh":
                said = ""
            elif tag == "f":
                formula = True
            elif tag == "c":
                if formula and not said:
                    raise self._not_computed(at, rows.number)
                rows.put(at, self._value(kind, style, said))

        self._parse(path, start, end)
        return rows.found

    def _not_computed(self, at: int, row: int) -> BadData:
        return BadData(
            f"{self.name}: {_letters(at)}{row} is a formula that was never computed.",
            fix="Open it in a spreadsheet program and save it.",
        )

    def _value(self, kind: str, style: int, said: str) -> Cell:
        if kind == "s":
            return self.texts[int(said)] or None
        if kind in {"str", "inlineStr", "d"}:
            return _unescaped(said) or None
        if kind == "b":
            return "TRUE" if said == "1" else "FALSE"
        return None if not said or kind == "e" else self._number(float(said), style)  # e: #N/A

    def _number(self, number: float, style: int) -> Cell:
        if style < len(self.dates) and self.dates[style]:
            return self._date(number)
        return int(number) if number.is_integer() and abs(number) < EXACT else number

    def _date(self, days: float) -> str:
        when = self.since + timedelta(seconds=round(days * 86400))
        if 0 <= days < 1:
            return f"{when:%H:%M:%S}"
        return f"{when:%Y-%m-%d}" if days == int(days) else f"{when:%Y-%m-%d %H:%M:%S}"

    def _parse(
        self,
        path: str,
        start: Callable[[str, Attributes], None] | None = None,
        end: Callable[[str, str], None] | None = None,
        *,
        needed: bool = True,
    ) -> None:
        """Go through a part: `start` gets each tag with its attributes, `end` with its text."""
        try:
            entry = self.archive.getinfo(path)
        except KeyError:
            if needed:
                raise
            return
        if entry.file_size > LARGEST_PART:
            raise BadData(f"{self.name} unpacks to more than {LARGEST_PART >> 20} MB.")
        text: list[str] = []
        parser = expat.ParserCreate()
        parser.buffer_text = True

        def opens(tag: str, attributes: dict[str, str]) -> None:
            text.clear()
            if start:
                start(_local(tag), {_local(name): value for name, value in attributes.items()})

        def closes(tag: str) -> None:
            if end:
                end(_local(tag), "".join(text))
            text.clear()

        def declares(*_: Any) -> None:
            raise BadData(f"{self.name} declares entities, which no workbook does.")

        parser.StartElementHandler, parser.EndElementHandler = opens, closes
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text.append, declares
        with self.archive.open(entry) as part:
            parser.ParseFile(part)


@dataclass
class _Rows:
    """Rows as they are read. What is empty takes no room."""

    name: str
    found: list[tuple[int, list[Cell]]] = field(default_factory=list)
    number: int = 0
    width: int = 0

    def begin(self, said: str | None) -> None:
        """Begin the row of this number, or the next one."""
        self.number = self.number + 1 if said is None else int(said)
        if self.number > MOST_ROWS:
            raise ValueError(f"a row {self.number}")

    def put(self, at: int, cell: Cell) -> None:
        """Put a cell into the row. Raises `BadData` where the table would get too large."""
        if cell is None:
            return
        if not self.found or self.found[-1][0] != self.number:
            self.found.append((self.number, []))
        self.width = max(self.width, at + 1)
        if self.width * len(self.found) > MOST_CELLS:
            raise BadData(
                f"{self.name} takes more than {MOST_CELLS:,} cells, too many to read.",
                fix=f"soffice --headless --convert-to csv {self.name}",
            )
        cells = self.found[-1][1]
        cells += [None] * (at + 1 - len(cells))
        cells[at] = cell


def _column(cells: list[Cell]) -> pa.Array:
    """Return cells as numbers where all of them are, and else as text."""
    if any(isinstance(cell, str) for cell in cells):
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    whole = all(cell is None or isinstance(cell, int) for cell in cells)
    empty = all(cell is None for cell in cells)
    return pa.array(cells, pa.string() if empty else pa.int64() if whole else pa.float64())


def _shows_date(style: int, codes: dict[int, str]) -> bool:
    if style in codes:
        return bool(re.search("[ymdhs]", _NO_DATE.sub("", codes[style]), re.IGNORECASE))
    return style in _DATES


def _place(reference: str) -> int:
    """Return the column of `AB12`, from 0."""
    at = 0
    for letter in re.match("[A-Z]{1,3}", reference.upper())[0]:  # type: ignore[index]
        at = at * 26 + ord(letter) - 64
    if at > MOST_COLUMNS:
        raise ValueError(f"a cell at {reference}")
    return at - 1


def _letters(at: int) -> str:
    letters, at = "", at + 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _unescaped(text: str) -> str:
    """Return text with its `_x000D_` as the characters they stand for."""
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]
