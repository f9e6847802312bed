"""Examples that were found: the tables of the splits that were asked for, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from worker.common import Data
from worker.contract import DataRef
from worker.errors import BadData
from worker.reading.files import DataFile, choose
from worker.reading.table import FileTable, Table

V = TypeVar("V")

DATA_PREFIX = "hubtrain-data-"
"""How the name of each dataset on the Hub begins that files of this machine are sent to."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """The examples, found."""

    name: str
    """As the user wrote it."""

    tables: Mapping[str, Table]
    """`train`, and `valid` where a split of that role was named."""

    unused: tuple[str, ...] = ()
    """Splits that are there and that nobody asked for."""

    remote: DataRef | None = None
    """The dataset on the Hub that is used in place; none for files of this machine."""

    notes: tuple[str, ...] = ()
    """What was decided for the user and is worth a line."""

    left_out: str = ""
    """What of a zip is not read, for its paths lead out of it; empty for nothing."""

    @property
    def stored_bytes(self) -> int:
        return sum(table.stored_bytes for table in self.tables.values())


NO_ROWS = DataSource("", {})
"""For a task that reads none."""


def chosen_of(splits: Mapping[str, V], params: Data, name: str) -> dict[str, V]:
    """Return the splits that `params` names, by their role. Raises `BadConfig`."""
    chosen = {"train": choose(splits, params.train_split, "--train-split", name)}
    if params.valid_split and params.valid_share is None:
        chosen["valid"] = choose(splits, params.valid_split, "--valid-split", name)
    return chosen


def source_of(
    name: str,
    splits: dict[str, list[DataFile]],
    params: Data,
    *,
    remote: DataRef | None = None,
    notes: tuple[str, ...] = (),
) -> DataSource:
    """Return the source with the splits that `params` names, out of those there are."""
    chosen = chosen_of(splits, params, name)
    for group in chosen.values():
        _refuse_two_formats(group, name)
    files = [f.name for group in chosen.values() for f in group]
    unused = tuple(s for s, group in splits.items() if group[0].name not in files)
    declared = remote.classes if remote else {}
    tables = {
        role: FileTable(_called(name, group, role), tuple(group), declared)
        for role, group in chosen.items()
    }
    if remote is not None:
        picked = {role: tuple(f.name for f in group) for role, group in chosen.items()}
        remote = remote.model_copy(update=picked)
    return DataSource(name, tables, unused, remote, notes)


def _refuse_two_formats(files: list[DataFile], where: str) -> None:
    formats = sorted({f.format or "" for f in files})
    if len(formats) > 1:
        raise BadData(
            f"a split of {where} is there as {' and as '.join(formats)}: "
            f"{', '.join(f.name for f in files[:4])}.",
            fix="Give the one that is meant:  --data-path FILE",
        )


def _called(name: str, files: list[DataFile], role: str) -> str:
    if len(files) == 1:
        return files[0].name if files[0].name != name else name
    return f"{name} ({role})"
