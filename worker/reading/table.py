"""The files of one split, read as one table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, TypeVar

import pyarrow as pa

from worker.errors import BadData
from worker.reading import excel
from worker.reading.classes import Classes, of_schema
from worker.reading.diagnose import csv_rows, encoding_fault, json_lines, unclosed_quote
from worker.reading.files import TEXT, DataFile
from worker.reading.formats import (
    BLOCKWISE,
    FileOptions,
    ReadAgain,
    batches,
    delimiter_of,
    open_rows,
)

T = TypeVar("T")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """How much there is."""

    rows: int
    exact: bool
    """Whether all rows were read; otherwise `rows` is extrapolated from the bytes."""


MOST_OPENED = 64
"""Files that are opened to learn the columns: each is a request where they lie on the Hub."""


class Table(ABC):
    """Rows that can be read from the start as often as one likes, with named columns.

    Readers learn about files while they read (`ReadAgain`): `settled`, `rows` and `columns` start
    over by themselves, and who calls `schema` and `batches` does so within `settled`.
    """

    name: str
    """What messages call it."""

    @property
    @abstractmethod
    def stored_bytes(self) -> int:
        """Bytes of all its files, as stored."""

    @abstractmethod
    def schema(self) -> pa.Schema:
        """Return the columns. Raises `BadData`, `ReadAgain`."""

    @abstractmethod
    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield all rows in columns of `schema`. Raises `BadData`, `ReadAgain`."""

    @abstractmethod
    def measure(self, most_bytes: float) -> Measured:
        """Count the rows and check that they can be read, up to `most_bytes` of decoded data."""

    @abstractmethod
    def numbers(self) -> Iterator[int]:
        """Yield the number of each row: its line in the file, or its place from 1."""

    @abstractmethod
    def learn(self, again: ReadAgain) -> None:
        """Take note of how a file can be read."""

    def settled(self, read: Callable[[], T]) -> T:
        """Return what `read` returns, started over for as long as it meets a `ReadAgain`."""
        while True:
            try:
                return read()
            except ReadAgain as again:
                self.learn(again)

    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self.settled(self.schema).names)

    def classes(self) -> Classes:
        """Return the class names that are declared, by column."""
        return of_schema(self.settled(self.schema))

    def rows(self, most_bytes: float = float("inf")) -> Iterator[tuple[int, Row]]:
        """Yield rows with their line in the file, or their place from 1 where lines mean nothing.

        Stops at about `most_bytes` of decoded data.
        """
        done = 0
        while True:
            try:
                for numbered in islice(self._rows(most_bytes), done, None):
                    done += 1
                    yield numbered
            except ReadAgain as again:
                self.learn(again)
            else:
                return

    def _rows(self, most_bytes: float) -> Iterator[tuple[int, Row]]:
        numbers = self.numbers()
        left = most_bytes
        for batch in self.batches(self.schema()):
            size = batch.nbytes
            if size > left:
                batch = batch.slice(0, max(1, int(batch.num_rows * left / size)))  # noqa: PLW2901
            # rows first: zip must not take a number for a row that is in the next batch
            yield from ((n, row) for row, n in zip(batch.to_pylist(), numbers, strict=False))
            left -= size
            if left <= 0:
                return


@dataclass(frozen=True, slots=True)
class FileTable(Table):
    """One or more files with the same kind of rows."""

    name: str
    files: tuple[DataFile, ...]
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Class names that are known from elsewhere than the files."""

    options: dict[str, FileOptions] = field(default_factory=dict, compare=False)
    """What reading has taught about the files, by name, so that it is learned once."""

    @property
    def stored_bytes(self) -> int:
        return sum(file.size for file in self.files)

    def learn(self, again: ReadAgain) -> None:
        self.options[again.file.name] = again.options

    def classes(self) -> Classes:
        """Return the class names that the files declare, and where they do not, `declared`."""
        schema = self.settled(self.schema)
        known = {k: v for k, v in self.declared.items() if k.split(".")[0] in schema.names}
        return known | of_schema(schema)

    def schema(self) -> pa.Schema:
        """Return the columns that all the files' columns fit. Raises `BadData`, `ReadAgain`.

        Of more than `MOST_OPENED` files so many are opened, evenly spaced: the others are taken to
        be like them.
        """
        schemas = []
        for file in _some(self.files):
            with closing(open_rows(file, self._options(file))) as reader:
                schemas.append(reader.schema)
        try:
            return pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException as error:
            words = str(error).removeprefix("Unable to merge: ")
            raise BadData(f"The files of {self.name} do not go together: {words}.") from error

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for file in self.files:
            for batch in batches(file, self._options(file)):
                yield batch if batch.schema == schema else _fitted(batch, schema)

    def measure(self, most_bytes: float) -> Measured:
        return self.settled(lambda: self._measure(most_bytes))

    def count(self) -> int:
        """Return how many rows there are: as Parquet files say, others are read to their ends."""
        if all(file.format == "parquet" for file in self.files):
            return sum(file.rows_declared() for file in self.files)
        return self.measure(float("inf")).rows

    def _measure(self, most_bytes: float) -> Measured:
        rows = decoded = stored = 0
        for file in self.files:
            options = self._options(file)
            for blocks, batch in enumerate(batches(file, options), 1):
                _check_text(file, batch)
                rows += batch.num_rows
                decoded += batch.nbytes
                if decoded >= most_bytes:
                    read = blocks * options.block if file.format in BLOCKWISE else decoded
                    return self._extrapolated(rows, stored + file.stored_for(read))
            self._check_quotes(file)
            stored += file.size
        return Measured(rows, exact=True)

    def _extrapolated(self, rows: int, seen: int) -> Measured:
        """Return how many rows there are where so many are in the first stored bytes, `seen`."""
        if all(f.format == "parquet" for f in self.files):
            return Measured(self.count(), exact=True)
        return Measured(round(rows * self.stored_bytes / seen), exact=False)

    def _check_quotes(self, file: DataFile) -> None:
        """Refuse a quote that opens near the end and swallows the last rows."""
        if file.format != "csv" or file.count(b'"') % 2 == 0:
            return
        if fault := unclosed_quote(file, delimiter_of(file)):
            raise fault

    def numbers(self) -> Iterator[int]:
        file = self.files[0]
        if len(self.files) > 1 or file.format not in {"csv", "jsonl", "xlsx"}:
            return count(1)
        if file.format == "xlsx":
            return iter(excel.sheet(file).numbers)
        if file.format == "jsonl":
            return (line for line, _ in json_lines(file))
        return (line for line, _ in islice(csv_rows(file, delimiter_of(file)), 1, None))

    def _options(self, file: DataFile) -> FileOptions:
        return self.options.get(file.name, FileOptions())


def _some(files: Sequence[DataFile]) -> Sequence[DataFile]:
    if len(files) <= MOST_OPENED:
        return files
    return [files[i * len(files) // MOST_OPENED] for i in range(MOST_OPENED)]


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch.column(f.name).cast(f.type)
        if f.name in batch.schema.names
        else pa.nulls(batch.num_rows, f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _check_text(file: DataFile, batch: pa.RecordBatch) -> None:
    """Refuse text that is not UTF-8, which the JSON reader lets pass."""
    if file.format not in TEXT:
        return
    try:
        batch.validate(full=True)
    except pa.ArrowException as error:
        fault = encoding_fault(file)
        raise fault or BadData(f"{file.name} cannot be read: {error}.") from error
