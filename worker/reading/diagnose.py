"""What is wrong with a file, and where: the slow reading that knows lines.

Runs only after the fast one has refused a file, and to find the lines of rows that a report
names. Standard library, and Arrow for the names of types.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from worker.errors import BadData
from worker.reading.files import DataFile

LARGEST_ARRAY = 512 << 20
"""Bytes of a JSON array that is read whole."""

TO_UTF8 = "Save it as UTF-8."

_WIDE = {
    "UTF-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"),
    "UTF-16": (b"\xff\xfe", b"\xfe\xff"),
}
"""What such files begin with; the longer first."""

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
    """Return what makes a CSV unreadable, with its line; none if nothing is found."""
    last, width = 1, 0
    try:
        for line, columns in csv_rows(file, delimiter, strict=False):
            width = width or columns
            if columns != width:
                return BadData(
                    f"{file.name} line {line} has {columns} columns where the header has {width}.",
                    fix="Put quotes around fields that hold the delimiter or a line break.",
                )
            last = line
        return unclosed_quote(file, delimiter)
    except UnicodeDecodeError:
        return encoding_fault(file)
    except csv.Error as error:
        return unclosed_quote(file, delimiter) or BadData(
            f"{file.name} is broken after line {last}: {error}."
        )


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
    """Return the first line that is not UTF-8; none if all of them are."""
    if fault := wide_characters(file):
        return fault
    with file.open() as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return BadData(
                    f"{file.name} line {number} is not UTF-8 "
                    f"(byte 0x{line[error.start]:02x} at {error.start + 1}).",
                    fix=TO_UTF8,
                )
    return None


def wide_characters(file: DataFile) -> BadData | None:
    """Return that a file has several bytes for every letter, as Windows saves "Unicode" text."""
    with file.open() as stream:
        head = stream.read(4096)
    marked = [name for name, mark in _WIDE.items() if head.startswith(mark)]
    if marked or b"\0" in head:  # no text of UTF-8 has a zero in it
        return BadData(f"{file.name} is {marked[0] if marked else 'UTF-16'}.", fix=TO_UTF8)
    return None


def json_fault(file: DataFile) -> pa.Schema:
    """Return the types that all lines of a JSONL file share; raises `BadData` if none do."""
    types: pa.DataType = pa.struct([])
    for number, line in json_lines(file):
        row = _parsed(file, number, line)
        if not isinstance(row, dict):
            raise BadData(
                f"{file.name} line {number} is {_article(_type(row))}, not an object "
                'as in {"text": "…"}.'
            )
        try:
            types = _merged(types, _type(row))
        except _Mixed as mixed:
            raise BadData(f"{file.name} line {number}: {mixed}") from None
    if not types.num_fields:
        raise BadData(f"{file.name} has no rows.")
    return pa.schema(list(types))


def rows_of_array(file: DataFile) -> tuple[list[dict[str, Any]], pa.Schema]:
    """Return the rows of a file that is one JSON array of objects, and their types."""
    if file.size > LARGEST_ARRAY:
        raise BadData(
            f"{file.name} is one JSON array of {file.size / 1e6:,.0f} MB, too large to read whole.",
            fix="Write it as JSONL, one object a line.",
        )
    with file.open() as stream:
        rows = _parsed(file, 0, stream.read().removeprefix(b"\xef\xbb\xbf"))
    if not rows:
        raise BadData(f"{file.name} has no rows.")
    types: pa.DataType = pa.struct([])
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadData(f"{file.name}: item {number} is {_article(_type(row))}, not an object.")
        try:
            types = _merged(types, _type(row))
        except _Mixed as mixed:
            raise BadData(f"{file.name}: item {number}: {mixed}") from None
    return rows, pa.schema(list(types))


def _parsed(file: DataFile, number: int, line: bytes) -> Any:
    where = f"line {number}"
    try:
        return json.loads(line.decode())
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if number else f"line {error.lineno}, column {error.colno}"
        where = f"{file.name} {where}" if number else file.name
        raise BadData(f"{where} is not JSON: {error.msg} at {at}.") from None
    except UnicodeDecodeError as error:
        fault = encoding_fault(file)
        raise fault or BadData(f"{file.name} is not UTF-8: {error}.") from None


class _Mixed(Exception):
    """Two rows hold what no column can: `text` here, a list there."""


_SAYS = {"string": "text", "int64": "a number", "double": "a number", "bool": "true or false"}


def _article(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return "a list"
    return "an object" if pa.types.is_struct(kind) else _SAYS.get(str(kind), str(kind))


def _type(value: Any, path: str = "") -> pa.DataType:
    """Return the Arrow type of a JSON value; raises `_Mixed` where a list holds two kinds."""
    if isinstance(value, dict):
        return pa.struct([(key, _type(v, f"{path}.{key}")) for key, v in value.items()])
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
    raise _Mixed(f"{name} is {_article(b)} here and {_article(a)} before.")


def _merged_fields(a: pa.DataType, b: pa.DataType, path: str) -> pa.DataType:
    fields = {field.name: field.type for field in a}
    for field in b:
        below = f"{path}.{field.name}"
        fields[field.name] = _merged(fields.get(field.name, pa.null()), field.type, below)
    return pa.struct(list(fields.items()))
