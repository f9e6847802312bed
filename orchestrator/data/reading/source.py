"""What `--data-path` names: a file, a folder, a zip, or a dataset on the Hub.

A path that exists wins over a Hub dataset of the same name. Hub datasets are pinned by commit
and, where workers can read their files as they are, trained from where they are; files of this
machine are packaged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from orchestrator.data.reading.files import DataFile, by_split, choose, in_folder, in_zip, on_disk
from orchestrator.data.reading.table import Table
from worker.common import Data
from worker.contract import DataRef
from worker.errors import BadConfig, BadData
from worker.nearest import nearest


@dataclass(frozen=True, slots=True)
class Source:
    """The examples, found."""

    name: str
    """As the user wrote it."""

    tables: Mapping[str, Table]
    """`train`, and `valid` where a split of that role was named."""

    unused: tuple[str, ...] = ()
    """Splits that are there and that nobody asked for."""

    remote: DataRef | None = None
    """The dataset on the Hub that is used in place; none for files of this machine."""

    notes: tuple[str, ...] = field(default=())
    """What was decided for the user and is worth a line."""

    @property
    def stored_bytes(self) -> int:
        return sum(table.stored_bytes for table in self.tables.values())


def is_local(data_path: str) -> bool:
    """Whether `data_path` means something on this machine, be it there or not."""
    return Path(data_path).expanduser().exists() or not looks_like_repo(data_path)


def looks_like_repo(text: str) -> bool:
    """Whether `text` could name a repo on the Hub: `name` or `owner/name`, no data suffix."""
    shaped = re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", text)
    suffix = r"\.(csv|tsv|jsonl|ndjson|json|parquet|zip|gz|txt|xlsx?)$"
    return bool(shaped) and not re.search(suffix, text.lower())


def find_local(params: Data) -> Source:
    """Return what `params.data_path` names on this machine. Raises `BadData`, `BadConfig`."""
    path = Path(params.data_path).expanduser()
    if not path.exists():
        raise _not_there(params.data_path, path)
    if not path.is_dir() and not path.is_file():
        raise BadData(f"{params.data_path} is neither a file nor a folder.")
    if path.is_dir():
        found = in_folder(path)
        _refuse_nothing(found, f"the folder {params.data_path}")
        return source_of(path.name or params.data_path, by_split(found), params)
    if path.suffix.lower() == ".zip":
        found = in_zip(path)
        _refuse_nothing(found, path.name)
        return source_of(path.name, by_split(found), params)
    _refuse_names_of_splits(path, params)
    return source_of(path.name, {params.train_split: [on_disk(path)]}, params)


def source_of(
    name: str,
    splits: dict[str, list[DataFile]],
    params: Data,
    *,
    remote: DataRef | None = None,
    notes: tuple[str, ...] = (),
) -> Source:
    """Return the source with the splits that `params` names, out of those there are."""
    chosen = {"train": choose(splits, params.train_split, "--train-split", name)}
    if params.valid_split and params.valid_share is None:
        chosen["valid"] = choose(splits, params.valid_split, "--valid-split", name)
    files = [f.name for group in chosen.values() for f in group]
    unused = tuple(s for s, group in splits.items() if group[0].name not in files)
    tables = {
        role: Table(_called(name, group, role), tuple(group)) for role, group in chosen.items()
    }
    if remote is not None:
        picked = {role: tuple(f.name for f in group) for role, group in chosen.items()}
        remote = remote.model_copy(update=picked)
    return Source(name, tables, unused, remote, notes)


def _called(name: str, files: list[DataFile], role: str) -> str:
    if len(files) == 1:
        return files[0].name if files[0].name != name else name
    return f"{name} ({role})"


def _not_there(said: str, path: Path) -> BadData:
    here = path.parent if path.parent.is_dir() else Path()
    there = sorted(os.listdir(here))
    stems = {PurePath(name).stem: name for name in reversed(there)}
    near = nearest(path.name, there) or stems.get(path.stem)
    return BadData(
        f"no file or folder {said}.",
        fix=f"--data-path {here / near}" if near else "",
    )


def _refuse_nothing(files: list[DataFile], where: str) -> None:
    if not files:
        raise BadData(f"{where} holds no data: no train.csv, train.jsonl or train.parquet in it.")


def _refuse_names_of_splits(path: Path, params: Data) -> None:
    if params.valid_split and params.valid_share is None:
        raise BadConfig(
            f"{path.name} is one file and has no split {params.valid_split!r}.",
            fix="Hold out a share, --valid-split 0.05, or give a folder with train and valid.",
        )
