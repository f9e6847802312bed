"""Which columns are learned from, and as what: told by their cells, unless the user says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from worker.columns import no_column
from worker.errors import BadConfig, BadData
from worker.shorten import some
from worker.splits import missing
from worker.tasks.tabular.columns import Column, Kind, number, told
from worker.tasks.tabular.params import TabularParams, named

Cells = Mapping[str, Sequence[Any]]


def columns_of(
    cells: Cells, source: str, targets: Sequence[str], params: TabularParams
) -> tuple[Column, ...]:
    """Return what each column is found to be, those left out among them.

    Raises `BadData` where none is left to learn from, `BadConfig` for settings that do not fit.
    """
    wanted = _wanted(cells, source, targets, params)
    only_named = bool(params.categorical_columns and params.numerical_columns)
    dropped = set(_there(params.drop_columns, cells, source, targets, "--drop-columns"))

    def one(name: str) -> Column:
        if name in dropped:
            return Column(name, None, "as asked")
        if name == params.id_column and name not in wanted:
            return Column(name, None, "it names the rows")
        if only_named and name not in wanted:
            return Column(name, None, "other columns are named")
        return told(name, cells[name], wanted.get(name))

    found = tuple(map(one, cells))
    if not any(column.kind for column in found):
        why = "; ".join(f"{column.name}: {column.why}" for column in found)
        raise BadData(f"{source} has no column to learn {some(targets)} from. {why}".strip())
    return found


def _wanted(
    cells: Cells, source: str, targets: Sequence[str], params: TabularParams
) -> dict[str, Kind]:
    if params.id_column not in {None, "", "id", *cells}:
        raise no_column(str(params.id_column), tuple(cells), source, "--id-column")
    said: tuple[tuple[str, Kind, str | None], ...] = (
        ("--categorical-columns", "category", params.categorical_columns),
        ("--numerical-columns", "number", params.numerical_columns),
        ("--text-columns", "text", params.text_columns),
    )
    wanted: dict[str, Kind] = {}
    flags: dict[str, str] = {}
    for flag, kind, names in said:
        for name in _there(names, cells, source, targets, flag):
            if name in flags:
                raise BadConfig(f"{name}: both {flags[name]} and {flag}.")
            wanted[name], flags[name] = kind, flag
            if kind == "number":
                _refuse_words(name, cells[name], source)
    return wanted


def _refuse_words(name: str, cells: Sequence[Any], source: str) -> None:
    if all(missing(cell) or number(cell) is None for cell in cells):
        raise BadConfig(
            f'"{name}" of {source} holds no numbers.', fix=f"--categorical-columns {name}"
        )


def _there(
    said: str | None, cells: Cells, source: str, targets: Sequence[str], flag: str
) -> list[str]:
    names = named(said, tuple(cells))
    for name in names:
        if name in targets:
            raise BadConfig(f'"{name}" is the target.', fix=f"Leave it out of {flag}.")
        if name not in cells:
            raise no_column(name, tuple(cells), source, flag)
    return names
