"""File formats, as streams of record batches: memory stays bounded whatever the file's size.

Column types come from the first block of a file. When a later block disagrees, `ReadAgain` says
with which types the file can be read whole, and the caller starts that file over; nearly all
files are read once. A file that cannot be read at all is explained by `diagnose`, which reads it
slowly and knows lines.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from worker.errors import BadData
from worker.reading import excel
from worker.reading.classes import FEATURES
from worker.reading.diagnose import (
    TO_UTF8,
    csv_fault,
    encoding_fault,
    is_one_object,
    json_fault,
    rows_of_array,
    wide_characters,
)
from worker.reading.files import TEXT, DataFile
from worker.reading.kinds import HEAD, helps, misnamed, too_deep

BLOCK_BYTES = 4 << 20
"""Bytes parsed at once; a row longer than that makes the file start over with larger blocks."""

BLOCKWISE = frozenset({"csv", "jsonl"})
"""Formats of which each batch is a block of text, however large it is once decoded."""

ROWS = 1024
"""Rows of Parquet that are read at once, at most."""

LARGEST_BLOCK = 1 << 29
DELIMITERS = ",;\t|"
HEAD_BYTES = 1 << 16
FIRST_LINES = 20
"""Lines that tell a CSV's delimiter."""

MOST_ROWS = 0.5
"""Share of the rows that a delimiter other than a comma has to fit."""

_PADDED = r"^[+-]?0[0-9]"
"""A number that is none: a postcode or an account, which would lose its zeros."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What has been learned about reading one file."""

    block: int = BLOCK_BYTES
    types: pa.Schema | None = None
    """Column types; none takes those of the first block."""


class ReadAgain(Exception):
    """The file does not fit its options, and fits `options`."""

    def __init__(self, file: DataFile, options: FileOptions) -> None:
        super().__init__(file.name)
        self.file = file
        self.options = options


def open_rows(file: DataFile, options: FileOptions) -> pa.RecordBatchReader:
    """Return the file's schema and batches. Raises `BadData`, `ReadAgain`."""
    openers: dict[str | None, Callable[[DataFile, FileOptions], pa.RecordBatchReader]]
    openers = {
        "csv": _csv, "jsonl": _jsonl, "json": _json_array, "parquet": _parquet, "xlsx": _excel
    }  # fmt: skip
    if file.format not in openers:
        raise BadData(
            f"{file.name} is in no format that can be read: CSV, JSONL, JSON, Parquet, Excel's "
            ".xlsx, or a zip or folder of these.",
            fix=helps(file.name),
        )
    if file.size == 0:
        raise BadData(f"{file.name} is empty.")
    try:
        if file.format in TEXT:
            _refuse_misnamed(file, options.block)
        return openers[file.format](file, options)
    except (pa.ArrowException, OSError) as error:
        raise _next(file, options, error) from error
    except UnicodeDecodeError as error:  # a column's name
        raise _not_text(file, error) from error
    except UnicodeEncodeError as error:  # JSON may hold half of a pair: "\\ud800"
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise BadData(f"{file.name} holds half a character, {half}, which no text has.") from error
    except RecursionError as error:
        raise BadData(f"{file.name} nests too deep.") from error
    except MemoryError as error:
        raise _too_large(file) from error


def _refuse_misnamed(file: DataFile, block: int) -> None:
    with file.open() as stream:
        head = stream.read(HEAD if file.format == "csv" else block)
    if not head:
        raise BadData(f"{file.name} is empty.")
    fault = misnamed(file.name, str(file.format), head[:HEAD])
    if file.format != "csv":
        fault = fault or too_deep(file.name, str(file.format), head)
    if fault:
        raise fault


def batches(file: DataFile, options: FileOptions) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows. Raises `BadData`, `ReadAgain`, also in the middle."""
    reader = open_rows(file, options)
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        raise _next(file, options, error) from error
    except UnicodeDecodeError as error:
        raise _not_text(file, error) from error
    except MemoryError as error:
        raise _too_large(file) from error


def _too_large(file: DataFile) -> BadData:
    return BadData(
        f"{file.name} takes more memory than there is here: a row of it is too large, or it is one "
        "value from beginning to end.",
        fix="Write it as JSONL or Parquet, with smaller rows.",
    )


def _not_text(file: DataFile, error: UnicodeDecodeError) -> BadData:
    return encoding_fault(file) or BadData(f"{file.name} is not UTF-8: {error}.", fix=TO_UTF8)


def delimiter_of(file: DataFile) -> str:
    """Return a CSV's delimiter: the mark that divides most rows as it divides the header.

    That a row or two has more of them, within a text, turns nothing. A comma needs no such rows.
    """
    if file.name.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"
    with file.open() as stream:
        head: str = stream.read(HEAD_BYTES).decode("utf-8-sig", errors="replace")
    lines = head.splitlines()[:FIRST_LINES]
    fits = {mark: _fits(lines, mark) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: fits[mark])  # of equals the first
    return best if fits[best] >= MOST_ROWS else ","


def _fits(lines: list[str], mark: str) -> float:
    """Return the share of rows that a mark divides into as many fields as the header, if several.

    Of a quote that never closes, csv says nothing here: the reader will.
    """
    try:
        header, *rows = [len(row) for row in csv.reader(lines, delimiter=mark) if row] or [0]
    except csv.Error:
        return 0.0
    if header < 2:  # noqa: PLR2004
        return 0.0
    return rows.count(header) / len(rows) if rows else 1.0


def _csv(file: DataFile, options: FileOptions) -> pa.RecordBatchReader:
    if fault := wide_characters(file):
        raise fault
    delimiter = delimiter_of(file)

    def reader(types: pa.Schema | None) -> pa.RecordBatchReader:
        return pa_csv.open_csv(
            file.open(),
            read_options=pa_csv.ReadOptions(block_size=options.block),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=types),
        )

    if options.types is not None:
        return reader(options.types)
    found = reader(None)
    _refuse_doubled(file, found.schema.names)
    types = _csv_types(file, options, delimiter, found.schema)
    return found if types == found.schema else reader(types)


def _csv_types(file: DataFile, options: FileOptions, delimiter: str, found: pa.Schema) -> pa.Schema:
    """Return the types of columns as Arrow `found` them in the first block, or text."""
    types = [_csv_type(f.type) for f in found]
    numbers = [f.name for f, kind in zip(found, types, strict=True) if kind != pa.string()]
    padded = _padded(file, options, delimiter, numbers) if numbers else set()
    kinds = (pa.string() if f.name in padded else k for f, k in zip(found, types, strict=True))
    return pa.schema([pa.field(f.name, kind) for f, kind in zip(found, kinds, strict=True)])


def _padded(file: DataFile, options: FileOptions, delimiter: str, numbers: list[str]) -> set[str]:
    """Return which columns of `numbers` begin with a zero that counts, in the first block."""
    with pa_csv.open_csv(
        file.open(),
        read_options=pa_csv.ReadOptions(block_size=options.block),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            include_columns=numbers, column_types=dict.fromkeys(numbers, pa.string())
        ),
    ) as reader:
        block = next(iter(reader), None)
    if block is None:
        return set()
    tests = ((name, pc.match_substring_regex(block.column(name), _PADDED)) for name in numbers)
    return {name for name, padded in tests if pc.any(padded).as_py()}


def _csv_type(found: pa.DataType) -> pa.DataType:
    """Numbers stay numbers; everything else is the text that stands in the file."""
    return found if pa.types.is_integer(found) or pa.types.is_floating(found) else pa.string()


def _refuse_doubled(file: DataFile, names: list[str]) -> None:
    doubled = sorted(name for name, times in Counter(names).items() if times > 1)
    if doubled:
        raise BadData(f"{file.name} has more than one column called {doubled[0]!r}.")


def _jsonl(file: DataFile, options: FileOptions) -> pa.RecordBatchReader:
    def reader(types: pa.Schema | None) -> pa.RecordBatchReader:
        return pa_json.open_json(
            file.open(),
            read_options=pa_json.ReadOptions(block_size=options.block),
            parse_options=pa_json.ParseOptions(explicit_schema=types),
        )

    if options.types is not None:
        return reader(options.types)
    found = reader(None)
    types = pa.schema([pa.field(f.name, _without_times(f.type)) for f in found.schema])
    return found if types == found.schema else reader(types)


def _without_times(found: pa.DataType) -> pa.DataType:
    """JSON has no times: what looks like one is the text that stands in the file."""
    if pa.types.is_timestamp(found):
        return pa.string()
    if pa.types.is_struct(found):
        return pa.struct([pa.field(f.name, _without_times(f.type)) for f in found])
    if pa.types.is_list(found):
        return pa.list_(_without_times(found.value_type))
    return found


def _json_array(file: DataFile, options: FileOptions) -> pa.RecordBatchReader:
    with file.open() as stream:
        first = stream.read(HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first != b"[" and not is_one_object(file):
        return _jsonl(file, options)
    rows, types = rows_of_array(file)
    return pa.Table.from_pylist(rows, schema=types).to_reader(max_chunksize=1024)


def _excel(file: DataFile, _: FileOptions) -> pa.RecordBatchReader:
    return excel.sheet(file).table.to_reader(max_chunksize=ROWS)


def _parquet(file: DataFile, _: FileOptions) -> pa.RecordBatchReader:
    with file.open() as stream:
        fault = misnamed(file.name, "parquet", stream.read(HEAD))
    if fault:
        raise fault
    source = pq.ParquetFile(file.open())
    rows = _rows_a_batch(source.metadata)
    found = source.schema_arrow
    kept = {k: v for k, v in (found.metadata or {}).items() if k == FEATURES}
    fields = [pa.field(f.name, _plain(f.type)) for f in found]
    schema = pa.schema(fields, metadata=kept or None)
    if any(f.type != g.type for f, g in zip(schema, found, strict=True)):
        return pa.RecordBatchReader.from_batches(
            schema, (b.cast(schema) for b in source.iter_batches(batch_size=rows))
        )
    stream = source.iter_batches(batch_size=rows)
    return pa.RecordBatchReader.from_batches(
        schema, (b.replace_schema_metadata(schema.metadata) for b in stream)
    )


def _rows_a_batch(metadata: pq.FileMetaData) -> int:
    """Return how many rows are read at once: fewer where each is large, as images are."""
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return int(max(1, min(ROWS, metadata.num_rows * BLOCK_BYTES // max(1, size))))


def _plain(found: pa.DataType) -> pa.DataType:
    return found.value_type if pa.types.is_dictionary(found) else found


def _next(file: DataFile, options: FileOptions, error: Exception) -> Exception:
    """Return what to raise when Arrow refused: the options that will do, or what is wrong."""
    if isinstance(error, OSError):
        return BadData(f"{file.name} cannot be read: {_words(error)}.")
    if "straddl" in str(error) and options.block < LARGEST_BLOCK:
        fault = csv_fault(file, delimiter_of(file)) if file.format == "csv" else None
        return fault or ReadAgain(file, replace(options, block=options.block * 8))
    if file.format == "csv":
        return _csv_next(file, options, error)
    if file.format in {"jsonl", "json"}:
        types = json_fault(file)
        if types != options.types:
            return ReadAgain(file, replace(options, types=types))
    return BadData(f"{file.name} cannot be read as {file.format}: {_words(error)}.")


def _csv_next(file: DataFile, options: FileOptions, error: Exception) -> Exception:
    # On a machine with one core pyarrow names the row too.
    conversion = r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to (?!string)"
    wrong = re.search(conversion, str(error))
    if wrong:
        with pa_csv.open_csv(
            file.open(),
            read_options=pa_csv.ReadOptions(block_size=options.block),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter_of(file), newlines_in_values=True
            ),
        ) as found:
            names = found.schema
        fields = options.types or _csv_types(file, options, delimiter_of(file), names)
        at = int(wrong[1])
        wider = pa.float64() if pa.types.is_integer(fields.field(at).type) else pa.string()
        types = fields.set(at, pa.field(fields.field(at).name, wider))
        return ReadAgain(file, replace(options, types=types))
    empty = "Empty CSV" in str(error)
    said = "has no rows" if empty else f"cannot be read as CSV: {_words(error)}"
    return csv_fault(file, delimiter_of(file)) or BadData(f"{file.name} {said}.")


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".")
