"""Rows as questions to a model: which column gives which field, and pictures as files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.data.sources.media.listing import FILE_NAME
from orchestrator.inference.rows import Row, Rows
from worker.columns import no_column
from worker.errors import BadData, HubtrainError
from worker.imagefile import fault
from worker.numerals import spelled
from worker.params import settings_of
from worker.splits import missing
from worker.task import Field, Page, Task


@dataclass(frozen=True, slots=True)
class Asked:
    """A row, and what the model is asked about it."""

    where: str
    row: Row
    question: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    """Why it cannot be asked about; empty where it can."""

    files: tuple[Path, ...] = ()
    """Copies of pictures, which are deleted once the answer is there."""


@dataclass(frozen=True, slots=True)
class Questions:
    """How the rows of an input become questions."""

    rows: Rows
    columns: Mapping[Field, str]
    """The column of each field that a row gives."""

    needed: frozenset[str]
    """Fields without which there is no question."""

    folder: Path
    """Where copies of pictures go."""

    def read(self, start: int) -> Iterator[Asked]:
        """Yield the questions of the rows from `start`, counted from 0."""
        for number, (where, row) in enumerate(self.rows.read()):
            if number >= start:
                yield self._asked(number, where, row)

    def _asked(self, number: int, where: str, row: Row) -> Asked:
        copies: list[Path] = []
        try:
            said = {
                one.name: self._value(one, row, column, self.folder / f"{number}", copies)
                for one, column in self.columns.items()
            }
        except HubtrainError as error:
            return Asked(where, row, fault=error.message, files=tuple(copies))
        known = {name: value for name, value in said.items() if value is not None}
        return Asked(where, row, known, files=tuple(copies))

    def _value(self, one: Field, row: Row, column: str, copy: Path, copies: list[Path]) -> Any:
        if one.kind == "row":
            return json.dumps(row, default=str)
        cell = row[column]
        if missing(cell):
            if one.name in self.needed:
                raise BadData(f'"{column}" is empty')
            return None
        if one.kind == "image":
            return self._picture(cell, copy, copies)
        return " ".join(map(str, cell)) if isinstance(cell, list) else spelled(cell)

    def _picture(self, cell: Any, copy: Path, copies: list[Path]) -> str:
        """Return the path of a picture: its file's, or that of a copy where it lies in another."""
        content = cell.get("bytes") if isinstance(cell, Mapping) else None
        if content is None:
            named = cell.get("path") if isinstance(cell, Mapping) else cell
            with self.rows.file(str(named)).open() as stream:
                content = stream.read()
        if said := fault(content):
            raise BadData(f"it {said}")
        copy.write_bytes(content)
        copies.append(copy)
        return str(copy)


def columns_of(
    task: Task[Any], page: Page, rows: Rows, given: Mapping[str, Any], needed: frozenset[str]
) -> dict[Field, str]:
    """Return the column of each field of a question: that of the training, or of its own name.

    What is given by hand is the same for all rows, and needs none. Raises `BadData`.
    """
    found: dict[Field, str] = {}
    for one in page.fields:
        if one.kind == "row":
            found[one] = ""
            continue
        names = _names(one, task, given)
        column = next((name for name in names if name in rows.columns), None)
        if column is None and given.get(one.name) is not None:
            continue
        if column is None and len(rows.columns) == 1 and not found:
            (column,) = rows.columns
        if column is not None:
            found[one] = column
        elif one.name in needed:
            raise no_column(names[0], rows.columns, rows.name, _flag(one, task))
    if not found:
        first = page.fields[0]
        raise no_column(_names(first, task, given)[0], rows.columns, rows.name, _flag(first, task))
    return found


def _names(one: Field, task: Task[Any], given: Mapping[str, Any]) -> list[str]:
    """Return what the column of a field may be called, the likeliest first."""
    setting = one.column or f"{one.name}_column"
    if named := given.get(setting):
        return [str(named)]
    known = task.params.model_fields.get(setting)
    usual = [str(known.default)] if known and known.default else []
    return [*usual, one.name, *(FILE_NAME if one.kind == "image" else ())]


def _flag(one: Field, task: Task[Any]) -> str:
    """Return what names another column; empty where nothing does."""
    name = one.column or f"{one.name}_column"
    return next((s.flags[0] for s in settings_of(task.params) if s.name == name), "")
