"""Tables whose rows are images: a list of paths and what is said of each, and the files.

Files are read while rows are, some megabytes at a time; a table of any size takes as much memory.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pyarrow as pa

from worker.errors import BadData
from worker.imagefile import fault
from worker.reading.classes import IMAGE, with_features
from worker.reading.files import DataFile
from worker.reading.formats import ReadAgain
from worker.reading.table import Measured, Table
from worker.shorten import some

BATCH_BYTES = 4 << 20
"""Bytes of images that are read at once; one image may be more."""

MOST_BYTES = 128 << 20
"""Bytes one image may have, unpacked: a small zip can hold one that fills the memory."""


@dataclass(frozen=True, slots=True)
class Rows(Table):
    """Rows that are in memory."""

    name: str
    data: pa.Table

    @property
    def stored_bytes(self) -> int:
        return 0

    def schema(self) -> pa.Schema:
        return self.data.schema

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        yield from self.data.cast(schema).to_batches()

    def measure(self, most_bytes: float) -> Measured:
        return Measured(self.data.num_rows, exact=True)

    def numbers(self) -> Iterator[int]:
        return count(1)

    def learn(self, again: ReadAgain) -> None:
        raise again


@dataclass(frozen=True, slots=True)
class ImageTable(Table):
    """A list of images with each path replaced by what lies there."""

    name: str
    listed: Table
    paths: str
    """The column of `listed` with the paths."""

    column: str
    """What it is called once the images are in it."""

    files: Mapping[str, DataFile] = field(repr=False)
    """The image at each path."""

    @property
    def stored_bytes(self) -> int:
        return self.listed.stored_bytes + sum(file.size for file in self.files.values())

    def schema(self) -> pa.Schema:
        told = self.listed.schema()
        fields = [
            pa.field(self.column, IMAGE) if field.name == self.paths else field for field in told
        ]
        schema = pa.schema(fields, metadata=told.metadata)
        return with_features(schema, {self.column: {"_type": "Image"}})

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        at = schema.get_field_index(self.column)
        for batch in self.listed.batches(self.listed.schema()):
            paths = batch.column(at).to_pylist()
            for start, stop in self._parts(paths):
                images = [_image(self.files[path]) for path in paths[start:stop]]
                columns = batch.slice(start, stop - start).columns
                columns[at] = pa.array(images, IMAGE)
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _parts(self, paths: list[str]) -> Iterator[tuple[int, int]]:
        """Yield where each part of the paths starts and stops, by the size of the images."""
        start = held = 0
        for stop, path in enumerate(paths, 1):
            held += self.files[path].size
            if held >= BATCH_BYTES or stop == len(paths):
                yield start, stop
                start, held = stop, 0

    def measure(self, most_bytes: float) -> Measured:
        """Count the rows, and look at the sizes of all images and at the first `most_bytes`."""
        measured = self.listed.measure(float("inf"))
        wrong, looked_at = list[str](), 0
        for file in self.files.values():
            said = _odd(file)
            if not said and looked_at < most_bytes:
                looked_at += file.size
                said = fault(_bytes(file))
            if said:
                wrong.append(f"{file.name} {said}")
        if wrong:
            raise _wrong(wrong)
        return measured

    def numbers(self) -> Iterator[int]:
        return self.listed.numbers()

    def learn(self, again: ReadAgain) -> None:
        self.listed.learn(again)


def _odd(file: DataFile) -> str:
    """Return what is wrong with the size of an image; empty where nothing is."""
    if not file.size:
        return "is empty"
    return f"has {file.size / 1e6:,.0f} MB, which no image has" if file.size > MOST_BYTES else ""


def _image(file: DataFile) -> dict[str, Any]:
    if said := _odd(file):
        raise _wrong([f"{file.name} {said}"])
    data = _bytes(file)
    if said := fault(data):
        raise _wrong([f"{file.name} {said}"])
    return {"bytes": data, "path": file.name}


def _bytes(file: DataFile) -> bytes:
    try:
        with file.open() as stream:
            return bytes(stream.read())
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise BadData(f"{file.name} cannot be read: {error}.") from error


def _wrong(said: list[str]) -> BadData:
    return BadData(
        f"{some(said, between='; ')}.",
        fix="Remove such files, or put whole images in their place.",
    )
