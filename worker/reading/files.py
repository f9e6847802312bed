"""A data file, wherever it lies: on this disk, inside a zip, or in a dataset repo.

Knows how to get at bytes and what a name says about them: format, compression, split. Knows
nothing about rows.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
}
"""What can be read, by the end of its name; `.gz` may follow all but Parquet."""

SPLIT_WORDS = {
    "train": {"train", "training"},
    "valid": {"valid", "validation", "val", "dev"},
    "test": {"test", "testing"},
}
"""Split to the words in a path that mean it."""


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
        """`csv`, `jsonl`, `json` or `parquet`; none for anything else."""
        return SUFFIXES.get(PurePosixPath(self.name.lower().removesuffix(".gz")).suffix)

    def open(self) -> pa.NativeFile:
        """Return its bytes from the start, decompressed. Raises `BadData` if that is refused."""
        try:
            stored = self.stored()
        except OSError as error:
            raise BadData(f"{self.name} cannot be read: {error.strerror or error}.") from error
        gzipped = self.name.lower().endswith(".gz")
        return pa.CompressedInputStream(stored, "gzip") if gzipped else stored

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


def in_folder(folder: Path) -> list[DataFile]:
    """Return the data files below `folder`, hidden ones left out, in the order of their names.

    Raises `BadData` for a link that leads out of the folder: whoever made the folder would choose
    which files of this machine are sent away.
    """
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    named = [(p, name) for p in paths if is_data(name := p.relative_to(folder).as_posix())]
    inside = folder.resolve()
    for path, name in named:
        if not (target := path.resolve()).is_relative_to(inside):
            raise BadData(
                f"{name} in {folder} is a link to {target}, outside that folder.",
                fix="Copy the file into the folder, or give it by its own path:  --data-path FILE",
            )
    return [on_disk(path, name) for path, name in named]


def in_zip(path: Path) -> list[DataFile]:
    """Return the data files inside the zip at `path`. Raises `BadData` if it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted(archive.infolist(), key=lambda entry: entry.filename)
    except zipfile.BadZipFile as error:
        raise BadData(f"{path.name} is not a zip file, or is cut short ({error}).") from error

    def opener(entry: str) -> Callable[[], pa.NativeFile]:
        return lambda: pa.PythonFile(zipfile.ZipFile(path).open(entry), mode="r")

    return [
        DataFile(e.filename, e.file_size, opener(e.filename))
        for e in entries
        if not e.is_dir() and is_data(e.filename)
    ]


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


def by_split(files: Iterable[DataFile]) -> dict[str, list[DataFile]]:
    """Return the files of each split; files that name none are all `train` when none does."""
    found: dict[str, list[DataFile]] = {}
    for file in files:
        found.setdefault(split_of(file.name) or "", []).append(file)
    unnamed = found.pop("", [])
    return found or ({"train": unnamed} if unnamed else {})


def choose(splits: dict[str, list[DataFile]], wanted: str, flag: str, where: str) -> list[DataFile]:
    """Return the files of the split a user calls `wanted`.

    Raises `BadConfig` where there is no such split, `BadData` where it is in two formats.
    """
    files = splits.get(wanted) or splits.get(split_of(wanted) or "")
    if not files:
        near = nearest(wanted, splits)
        held = "--valid-split 0.05 holds out a share of the training rows"
        raise BadConfig(
            f"no split {wanted!r} in {where}; it has: {', '.join(sorted(splits))}.",
            fix=f"{flag} {near}" if near else held if flag == "--valid-split" else "",
        )
    formats = sorted({f.format or "" for f in files})
    if len(formats) > 1:
        raise BadData(
            f"split {wanted!r} of {where} is there as {' and as '.join(formats)}: "
            f"{', '.join(f.name for f in files[:4])}.",
            fix="Give the one that is meant:  --data-path FILE",
        )
    return files
