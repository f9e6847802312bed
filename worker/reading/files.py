"""A data file, wherever it lies: on this disk, inside a zip, or in a dataset repo.

Knows how to get at bytes and what a name says about them: format, compression, split. Knows
nothing about rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from worker.errors import BadConfig, BadData
from worker.nearest import nearest

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
"""What can be read, by the end of its name; `.gz` may follow where it is text."""

TEXT = frozenset({"csv", "jsonl", "json"})

_WIDE = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""How text begins that has several bytes for every letter; the longer first."""

_BEGINNING = 4 << 20
"""Bytes of a text that tell how much smaller it is stored."""

_PIECE = 1 << 16

SPLIT_WORDS = {
    "train": {"train", "training"},
    "valid": {"valid", "validation", "val", "dev"},
    "test": {"test", "testing"},
}
"""Split to the words in a path that mean it."""

V = TypeVar("V")


def format_of(name: str) -> str | None:
    """Return `csv`, `jsonl`, `json`, `parquet` or `xlsx`, by the end of a name; none for others."""
    return SUFFIXES.get(PurePosixPath(name.lower().removesuffix(".gz")).suffix)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of rows."""

    name: str
    """Path below its folder, zip or repo, with `/`; a single file's own name."""

    size: int
    """Bytes as stored."""

    stored: Callable[[], pa.NativeFile]
    """Opens it at the start, as stored."""

    @property
    def format(self) -> str | None:
        """`csv`, `jsonl`, `json`, `parquet` or `xlsx`; none for anything else."""
        return format_of(self.name)

    def open(self) -> pa.NativeFile:
        """Return its bytes from the start: decompressed, and text that says it is UTF-16 as UTF-8.

        Raises `BadData` if that is refused.
        """
        return self._both()[1]

    def stored_for(self, size: int) -> int:
        """Return about how many of the stored bytes hold the first `size` of those it opens with.

        Text that is compressed, or has several bytes for a letter, is taken to be as it begins.
        """
        stored, stream = self._both()
        with stored, stream:
            if stream is stored:
                return min(size, self.size)
            pieces = range(
                0, min(size, _BEGINNING), _PIECE
            )  # small: who decodes reads so far ahead
            head = sum(len(stream.read(_PIECE)) for _ in pieces)
            return min(round(size * int(stored.tell()) / max(1, head)), self.size)

    def _both(self) -> tuple[pa.NativeFile, pa.NativeFile]:
        """Return the file as stored, and as it is read; they are one where nothing is between."""
        stored, stream = self._opened()
        if self.format not in TEXT:
            return stored, stream
        try:
            head = stream.read(4)
        except OSError:  # whoever reads on will be told
            head = b""
        if stream.seekable():
            stream.seek(0)
        else:
            stream.close()
            stored, stream = self._opened()
        wide = next((codec for mark, codec in _WIDE.items() if head.startswith(mark)), None)
        return stored, pa.transcoding_input_stream(stream, wide, "utf-8") if wide else stream

    def _opened(self) -> tuple[pa.NativeFile, pa.NativeFile]:
        try:
            stored = self.stored()
        except OSError as error:
            raise BadData(f"{self.name} cannot be read: {error.strerror or error}.") from error
        gzipped = self.name.lower().endswith(".gz")
        return stored, pa.CompressedInputStream(stored, "gzip") if gzipped else stored

    def count(self, byte: bytes) -> int:
        """Return how often `byte` occurs in it, decompressed."""
        with self.open() as stream:
            return sum(block.count(byte) for block in iter(lambda: stream.read(1 << 20), b""))

    def rows_declared(self) -> int:
        """Return the rows a Parquet file says it has."""
        with self.open() as stream:
            return int(pq.ParquetFile(stream).metadata.num_rows)


def on_disk(path: Path, name: str | None = None) -> DataFile:
    """Return the file at `path`."""
    return DataFile(name or path.name, path.stat().st_size, lambda: pa.OSFile(str(path)))


def is_data(name: str) -> bool:
    """Whether a path can hold rows: a suffix we read, and no part that hides or describes."""
    parts = PurePosixPath(name).parts
    if any(part.startswith((".", "__")) for part in parts):
        return False
    stem = parts[-1].lower().removesuffix(".gz")
    if stem.endswith(".json"):  # most .json files beside data are about it
        return split_of(name) is not None
    return PurePosixPath(stem).suffix in SUFFIXES


def split_of(name: str) -> str | None:
    """Return the split a path names, as in `data/train-00000-of-00002.parquet`."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return next((split for split, means in SPLIT_WORDS.items() if words & means), None)


def by_split(
    files: Iterable[DataFile], asked: Collection[str | None] = ()
) -> dict[str, list[DataFile]]:
    """Return the files of each split; files that name none are all `train` when none does.

    A file or folder that is called as a split that is `asked` for is that split.
    """
    found: dict[str, list[DataFile]] = {}
    for file in files:
        *folders, name = PurePosixPath(file.name).parts
        called = next((one for one in asked if one in {*folders, name.split(".")[0]}), None)
        found.setdefault(called or split_of(file.name) or "", []).append(file)
    unnamed = found.pop("", [])
    return found or ({"train": unnamed} if unnamed else {})


def choose(splits: Mapping[str, V], wanted: str, flag: str, where: str) -> V:
    """Return the split a user calls `wanted`. Raises `BadConfig` where there is no such split."""
    found = splits.get(wanted) or splits.get(split_of(wanted) or "")
    if found:
        return found
    near = nearest(wanted, splits)
    held = "--valid-split 0.05 holds out a share of the training rows"
    raise BadConfig(
        f"no split {wanted!r} in {where}; it has: {', '.join(sorted(splits))}.",
        fix=f"{flag} {near}" if near else held if flag == "--valid-split" else "",
    )
