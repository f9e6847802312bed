"""What is wrong with a file, and where: the slow reading that knows lines.

Runs only after the fast one has refused a file, and to find the lines of rows that a report
names. Standard library, and Arrow for the names of types.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from worker.errors import BadData
from worker.reading.files import DataFile

LARGEST_ARRAY = 512 << 20
"""Bytes of a JSON array that is read whole."""

TO_UTF8 = "Save it as UTF-8."

SHOWN = 5
"""Broken lines of a file that are named before it is said how many more there are."""

MOST_COLUMNS = 20
"""Columns of two kinds that are all told, in whichever lines they come first."""

_WRAPPERS = ("data", "rows", "examples", "items", "records")
"""Usual names of the list in a file that is one JSON object around it."""

LARGEST_FIELD = 1 << 28
"""Characters of one CSV field; more is a quote that never closes."""


def csv_rows(file: DataFile, delimiter: str, *, strict: bool = False) -> Iterator[tuple[int, int]]:
    """Yield the line each row starts on and its number of columns, the header's first."""
    csv.field_size_limit(LARGEST_FIELD)
    with file.open() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="strict", newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=strict)
        line = 1
        for row in reader:
            if row:
                yield line, len(row)
            line = reader.line_num + 1


def json_lines(file: DataFile) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank, with its number from 1."""
    with file.open() as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            text = line.strip().removeprefix(b"\xef\xbb\xbf")
            if text:
                yield number, text


def csv_fault(file: DataFile, delimiter: str) -> BadData | None:
    """Return what makes a CSV unreadable, with its lines; none if nothing is found."""
    last, width = 1, 0
    ragged = _Wrong()
    try:
        for line, columns in csv_rows(file, delimiter, strict=False):
            width = width or columns
            if columns != width:
                plural = "s" * (columns != 1)
                ragged.add(
                    f"line {line} has {columns} column{plural} where the header has {width}."
                )
            last = line
        if fault := unclosed_quote(file, delimiter):
            return fault
        fix = "Put quotes around fields that hold the delimiter or a line break."
        return _faults(file, ragged, fix) if ragged.count else None
    except UnicodeDecodeError:
        return encoding_fault(file)
    except csv.Error as error:
        return unclosed_quote(file, delimiter) or BadData(
            f"{file.name} is broken after line {last}: {error}."
        )


@dataclass(slots=True)
class _Wrong:
    """What is wrong with lines: the first of them, and how many, for there may be millions."""

    count: int = 0
    first: list[str] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    """Those that a line of `first` speaks of."""

    def add(self, fault: str, columns: Collection[str] = ()) -> None:
        """Note what is wrong with a line: to be told also where it is one of other `columns`."""
        self.count += 1
        new = not self.columns.issuperset(columns) and len(self.columns) < MOST_COLUMNS
        if len(self.first) < SHOWN or new:
            self.first.append(fault)
            self.columns.update(columns)


def _faults(file: DataFile, found: _Wrong, fix: str = "", what: str = "lines") -> BadData:
    """Return what is wrong with the lines of a file: of one in a line, of more in a list."""
    if found.count == 1:
        return BadData(f"{file.name} {found.first[0]}", fix=fix)
    lines = [f"{file.name}: {found.count:,} {what} cannot be read.", *found.first]
    if more := found.count - len(found.first):
        lines.append(f"and {more:,} more")
    return BadData("\n".join(lines), fix=fix)


def unclosed_quote(file: DataFile, delimiter: str) -> BadData | None:
    """Return where a quote opens that never closes; none if they all close."""
    last = 1
    try:
        for line, _ in csv_rows(file, delimiter, strict=True):
            last = line
    except csv.Error as error:
        if "unexpected end" in str(error) or "field limit" in str(error):
            return BadData(f"{file.name}: a quote opens after line {last} and never closes.")
    return None


def encoding_fault(file: DataFile) -> BadData | None:
    """Return the first line that is not UTF-8, with what makes it so; none if all of them are."""
    try:
        return wide_characters(file) or _first_not_utf8(file)
    except UnicodeDecodeError:  # it is read as what its first bytes say
        return BadData(f"{file.name} is UTF-16 or UTF-32, and broken or cut short.", fix=TO_UTF8)


def _first_not_utf8(file: DataFile) -> BadData | None:
    with file.open() as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return BadData(
                    f"{file.name} line {number} is not UTF-8 "
                    f"(byte 0x{line[error.start]:02x} at {error.start + 1}).",
                    fix=_to_utf8(file, "CP1252") if _is_western(line) else TO_UTF8,
                )
    return None


def _is_western(line: bytes) -> bool:
    """Whether a line can be text of Windows in western Europe or America, no controls in it."""
    try:
        return line.strip().decode("cp1252").isprintable()
    except UnicodeDecodeError:
        return False


def _to_utf8(file: DataFile, encoding: str) -> str:
    """Return the command that writes a file anew, in UTF-8."""
    if file.name.endswith(".gz"):
        return TO_UTF8
    path = PurePosixPath(file.name)
    old, new = shlex.quote(file.name), shlex.quote(f"{path.stem}-utf8{path.suffix}")
    return f"iconv -f {encoding} -t UTF-8 {old} > {new}"


def wide_characters(file: DataFile) -> BadData | None:
    """Return that a file has several bytes for every letter and no mark at its beginning.

    Or zero bytes, which text has not.
    """
    with file.open() as stream:
        head = stream.read(4096)
    if b"\0" not in head:  # no text of UTF-8 has a zero in it
        return None
    if head.count(b"\0") < len(head) / 4:
        line = head[: head.index(b"\0")].count(b"\n") + 1
        old, new = shlex.quote(file.name), shlex.quote(f"clean-{PurePosixPath(file.name).name}")
        fix = f"tr -d '\\000' < {old} > {new}"
        return BadData(f"{file.name} line {line} holds a zero byte, which no text has.", fix=fix)
    order = "BE" if head.index(b"\0") % 2 == 0 else "LE"
    return BadData(f"{file.name} is UTF-16.", fix=_to_utf8(file, f"UTF-16{order}"))


def json_fault(file: DataFile) -> pa.Schema:
    """Return the types that all lines of a JSONL file share; raises `BadData` if none do."""
    types: pa.DataType = pa.struct([])
    wrong = _Wrong()
    for number, line in json_lines(file):
        try:
            types = _merged(types, _row_type(_parsed(file, number, line)))
        except _Fault as fault:
            wrong.add(f"line {number}{fault}", fault.columns)
    if wrong.count:
        raise _faults(file, wrong)
    if not types.num_fields:
        raise BadData(f"{file.name} has no rows.")
    return pa.schema(list(types))


def is_one_object(file: DataFile) -> bool:
    """Whether a file is one JSON object that holds its rows, and not an object a line."""
    lines = json_lines(file)
    first = next(lines, (0, b""))[1]
    try:
        found = json.loads(first)
    except ValueError:  # one that goes on in the next lines, or nothing that can be read
        return first.startswith(b"{") and first.count(b"{") > first.count(b"}")
    whole = _wrapped(found) is not None or bool(_splits(found))
    return whole and next(lines, None) is None


def rows_of_array(file: DataFile) -> tuple[list[dict[str, Any]], pa.Schema]:
    """Return the rows of a file that is one JSON array of objects, and their types.

    Or one object around that array, or columns as pandas writes them.
    """
    with file.open() as stream:
        content = stream.read(LARGEST_ARRAY + 1)
        if len(content) > LARGEST_ARRAY:  # as it is stored it may be smaller
            raise BadData(
                f"{file.name} is one JSON array of more than {LARGEST_ARRAY / 1e6:,.0f} MB, too "
                "large to read whole.",
                fix="Write it as JSONL, one object a line.",
            )
        try:
            found = _parsed(file, 0, content.removeprefix(b"\xef\xbb\xbf"))
        except _Fault as fault:
            raise BadData(f"{file.name}{fault}") from None
    if splits := _splits(found):
        raise BadData(
            f"{file.name} holds several lists of rows: {', '.join(splits)}.",
            fix="python -c \"import json; [json.dump(rows, open(name + '.json', 'w')) for name, "
            f"rows in json.load(open('{file.name}', encoding='utf-8-sig')).items()]\"",
        )
    rows = found if isinstance(found, list) else (_wrapped(found) or [found])
    if not rows:
        raise BadData(f"{file.name} has no rows.")
    types: pa.DataType = pa.struct([])
    wrong = _Wrong()
    for number, row in enumerate(rows, 1):
        try:
            types = _merged(types, _row_type(row))
        except _Fault as fault:
            wrong.add(f"item {number}{fault}", fault.columns)
    if wrong.count:
        raise _faults(file, wrong, what="items")
    return rows, pa.schema(list(types))


def _wrapped(found: Any) -> list[dict[str, Any]] | None:
    """Return the rows an object holds: in a list with a usual name, or as columns of pandas."""
    if not isinstance(found, dict) or not found:
        return None
    lists = [found[name] for name in _WRAPPERS if isinstance(found.get(name), list)]
    if len(lists) == 1 and lists[0] and all(isinstance(row, dict) for row in lists[0]):
        return list(lists[0])
    columns = list(found.values())
    if all(isinstance(c, dict) and c.keys() == columns[0].keys() for c in columns):
        places = list(columns[0])
        if places and all(place.isdigit() for place in places):
            return [{name: found[name][place] for name in found} for place in places]
    return None


def _splits(found: Any) -> list[str]:
    """Return the names of splits where an object is nothing but those, each a list of rows."""
    whole = isinstance(found, dict) and all(
        isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
        for rows in found.values()
    )
    return list(found) if whole and "train" in found and len(found) > 1 else []


def _row_type(row: Any) -> pa.DataType:
    if not isinstance(row, dict):
        raise _Fault(f' is {_article(_type(row))}, not an object as in {{"text": "…"}}.')
    return _type(row)


def _parsed(file: DataFile, number: int, line: bytes) -> Any:
    """Return the value on a line, or with `number` 0 in a whole file."""
    try:
        return json.loads(line.decode())
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if number else f"line {error.lineno}, column {error.colno}"
        raise _Fault(f" is not JSON: {error.msg} at {at}.") from None
    except RecursionError:
        raise _Fault(" nests too deep.") from None
    except UnicodeDecodeError as error:
        fault = encoding_fault(file)
        raise fault or BadData(f"{file.name} is not UTF-8: {error}.") from None
    except ValueError:
        raise _Fault(" holds a number with thousands of digits.") from None


class _Fault(Exception):
    """What is wrong with a line, to follow its number: no JSON, or text where others are lists."""

    columns: Collection[str] = ()
    """The columns it is about, where it is about some."""


class _Mixed(_Fault):
    """Columns of a line that are of another kind than before, and what is said of each."""

    def __init__(self, said: Mapping[str, str]) -> None:
        super().__init__(f": {'; '.join(said.values())}.")
        self.columns, self.said = said.keys(), said


_SAYS = {"string": "text", "int64": "a number", "double": "a number", "bool": "true or false"}


def _article(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return "a list"
    return "an object" if pa.types.is_struct(kind) else _SAYS.get(str(kind), str(kind))


def _type(value: Any, path: str = "") -> pa.DataType:
    """Return the Arrow type of a JSON value; raises `_Fault` where a list holds two kinds."""
    if isinstance(value, dict):
        return _fields((key, partial(_type, v, f"{path}.{key}")) for key, v in value.items())
    if isinstance(value, list):
        kind = pa.null()
        for item in value:
            kind = _merged(kind, _type(item, path), path)
        return pa.list_(kind)
    if isinstance(value, int) and not isinstance(value, bool):
        return pa.int64() if -(2**63) <= value < 2**63 else pa.float64()
    known = {type(None): pa.null(), bool: pa.bool_(), float: pa.float64(), str: pa.string()}
    return known[type(value)]


def _merged(a: pa.DataType, b: pa.DataType, path: str = "") -> pa.DataType:
    """Return the narrowest type that holds both."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        return _merged_fields(a, b, path)
    if pa.types.is_list(a) and pa.types.is_list(b):
        return pa.list_(_merged(a.value_type, b.value_type, path))
    if {str(a), str(b)} == {"int64", "double"}:
        return pa.float64()
    name = path.removeprefix(".") or "the row"
    raise _Mixed({name: f"{name} is {_article(b)} here and {_article(a)} before"})


def _merged_fields(a: pa.DataType, b: pa.DataType, path: str) -> pa.DataType:
    old, new, no = {one.name: one.type for one in a}, {one.name: one.type for one in b}, pa.null()
    return _fields(
        (name, partial(_merged, old.get(name, no), new.get(name, no), f"{path}.{name}"))
        for name in old | new
    )


def _fields(types: Iterable[tuple[str, Callable[[], pa.DataType]]]) -> pa.DataType:
    """Return an object with fields of these types; raises `_Mixed` with all that have none."""
    found, wrong = [], dict[str, str]()
    for name, type_ in types:
        try:
            found.append((name, type_()))
        except _Mixed as fault:
            wrong |= fault.said
    if wrong:
        raise _Mixed(wrong)
    return pa.struct(found)
