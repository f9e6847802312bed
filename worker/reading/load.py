"""A job's examples on the machine that trains: of a dataset repo at a commit, or of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from worker.contract import DataRef
from worker.errors import BadData
from worker.hubclient import explained, hub
from worker.reading.files import on_disk
from worker.reading.table import FileTable
from worker.splits import Row, Split


def load(ref: DataRef) -> dict[str, Split]:
    """Return the splits of `ref`: `train`, and `valid` where it names one. Raises `BadData`."""
    return {role: _split(ref, role, names) for role, names in _named(ref).items()}


def stream(ref: DataRef, role: str) -> Split:
    """Return a split whose files are fetched one by one as its rows are read, and not counted.

    Its columns are those of the first file. Raises `BadData`.
    """
    names = dict(_named(ref))[role]
    called = names[0] if len(names) == 1 else f"{ref.repo_id or 'the data'} ({role})"
    first = _table(ref, names[0])
    rows = chain(first.rows(), _rest(ref, names[1:]))
    return Split(called, first.columns(), rows, 0, first.classes())


def _rest(ref: DataRef, names: Sequence[str]) -> Iterator[tuple[int, Row]]:
    for name in names:
        yield from _table(ref, name).rows()


def _table(ref: DataRef, name: str) -> FileTable:
    (path,) = _paths(ref, [name])
    return FileTable(name, (on_disk(path, name),), declared=ref.classes)


def local_files(ref: DataRef) -> dict[str, list[Path]]:
    """Return the files of each split on this machine's disk, downloaded where they are not there.

    For a task that has its own way to the rows; `load` is for all others.
    """
    return {role: _paths(ref, names) for role, names in _named(ref).items()}


def _named(ref: DataRef) -> dict[str, Sequence[str]]:
    return {role: names for role, names in (("train", ref.train), ("valid", ref.valid)) if names}


def _split(ref: DataRef, role: str, names: Sequence[str]) -> Split:
    paths = _paths(ref, names)
    called = names[0] if len(names) == 1 else f"{ref.repo_id or 'the data'} ({role})"
    files = tuple(on_disk(path, name) for path, name in zip(paths, names, strict=True))
    table = FileTable(called, files, declared=ref.classes)
    return Split(called, table.columns(), table.rows(), table.count(), table.classes())


def _paths(ref: DataRef, names: Sequence[str]) -> list[Path]:
    if ref.folder is not None:
        paths = [Path(ref.folder) / name for name in names]
        for path in paths:
            if not path.exists():
                raise BadData(f"There is no file {path}.")
        return paths
    assert ref.repo_id is not None
    api = hub(os.environ.get("HF_TOKEN"))
    with explained(f"reading {ref.repo_id}"):
        return [
            Path(api.hf_hub_download(ref.repo_id, name, repo_type="dataset", revision=ref.revision))
            for name in names
        ]
