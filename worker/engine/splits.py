"""Opens the examples a job names: files of a dataset repo at a commit, or of a folder here.

Parquet, CSV and JSON lines, read a batch at a time. It does not know what rows mean.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from worker.contract import DataRef
from worker.errors import BadData
from worker.hubclient import explained, hub
from worker.splits import Row, Split

Rows = Iterator[tuple[int, Row]]
Table = tuple[tuple[str, ...], Rows, int]
"""Columns, numbered rows, and how many; as many as none tells where counting means reading."""


def load(ref: DataRef) -> dict[str, Split]:
    """Return the splits of `ref`: `train`, and `valid` where it names one. Raises `BadData`."""
    parts = {"train": ref.train, "valid": ref.valid}
    return {name: _split(ref, files) for name, files in parts.items() if files}


def _split(ref: DataRef, files: Sequence[str]) -> Split:
    tables = [_open(path) for path in _paths(ref, files)]
    columns = dict.fromkeys(name for names, _, _ in tables for name in names)
    source = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"

    def rows() -> Rows:
        number = 0
        for _, numbered, _ in tables:
            for line, row in numbered:
                number += 1
                yield (line if len(tables) == 1 else number), row

    return Split(source, tuple(columns), rows(), sum(count for _, _, count in tables))


def _paths(ref: DataRef, files: Sequence[str]) -> list[Path]:
    if ref.folder is not None:
        return [Path(ref.folder) / name for name in files]
    assert ref.repo_id is not None
    api = hub(os.environ.get("HF_TOKEN"))
    with explained(f"reading {ref.repo_id}"):
        return [
            Path(api.hf_hub_download(ref.repo_id, name, repo_type="dataset", revision=ref.revision))
            for name in files
        ]


def _open(path: Path) -> Table:
    opener = OPENERS.get(path.suffix.lower())
    if opener is None:
        known = ", ".join(sorted(OPENERS))
        raise BadData(f"{path.name} is none of the files that can be read: {known}.")
    if not path.exists():
        raise BadData(f"There is no file {path}.")
    return opener(path)


def _parquet(path: Path) -> Table:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise BadData(f"{path.name} is not a readable Parquet file: {error}") from error

    def rows() -> Rows:
        number = 0
        for batch in file.iter_batches(4096):
            for row in batch.to_pylist():
                number += 1
                yield number, row

    return tuple(file.schema_arrow.names), rows(), file.metadata.num_rows


def _csv(path: Path) -> Table:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        numbered: list[tuple[int, Row]] = [(reader.line_num, row) for row in reader]
    return tuple(reader.fieldnames or ()), iter(numbered), len(numbered)


def _jsonl(path: Path) -> Table:
    numbered: list[tuple[int, dict[str, Any]]] = []
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise BadData(f"Line {line} of {path.name} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise BadData(f"Line {line} of {path.name} is not a JSON object.")
            numbered.append((line, row))
    columns = dict.fromkeys(name for _, row in numbered for name in row)
    return tuple(columns), iter(numbered), len(numbered)


OPENERS: dict[str, Callable[[Path], Table]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
}
