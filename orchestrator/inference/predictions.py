"""The file of predictions: the input's columns, and beside them what the model answers.

Answers are kept as they come in a file beside it, `OUTPUT.part`, a line each, so that a run that
was killed goes on where it was. The output is written from there at the end, under another name
until it is whole. Nothing holds more than a row.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, Any

from orchestrator.inference.rows import Row, Rows
from worker.answers import Cells
from worker.errors import BadConfig

SUFFIXES = (".csv", ".jsonl")
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How texts begin that a spreadsheet computes: also with the wide signs of East Asia."""

FAULT = "fault"
"""Key of a kept line that says why there is no answer."""


@dataclass
class Predictions:
    """The answers to the rows of one input, in the order of the rows."""

    output: Path
    head: Mapping[str, Any]
    """Which answers they are: the model, the input and what else they depend on."""

    columns: dict[str, None] = field(default_factory=dict)
    """Columns that answers have, in order."""

    faults: int = 0
    formulas: int = 0
    """Answers that a spreadsheet would compute, and that the output has behind a `'`."""

    @property
    def kept(self) -> Path:
        """Where answers are kept until all are there."""
        return self.output.with_name(f"{self.output.name}.part")

    def begin(self) -> int:
        """Return how many rows are answered already. A torn last line is taken away.

        Raises `BadConfig` where the output is there, or answers of something else are kept.
        """
        if suffix_of(self.output) not in SUFFIXES:
            stem = self.output.with_suffix("")
            raise BadConfig(
                f"--output {self.output}: predictions are written as .csv or .jsonl.",
                fix=f"--output {stem}.csv",
            )
        if self.output.exists():
            raise BadConfig(
                f"{self.output} is there already.", fix="Remove it, or give --output another name."
            )
        if not self.kept.exists():
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._append(self.head)
            return 0
        self._cut()
        lines = self._lines()
        if next(lines, None) != json.loads(json.dumps(self.head)):
            raise BadConfig(
                f"{self.kept} holds answers of another model, or to something else.",
                fix="Remove it, or give --output another name.",
            )
        done = 0
        for done, line in enumerate(lines, 1):  # noqa: B007
            self._note(line)
        return done

    def add(self, cells: Cells | None, fault: str = "") -> None:
        """Keep what is answered to the next row, or why it is not."""
        line = {FAULT: fault} if cells is None else {"cells": cells}
        self._note(line)
        self._append(line)

    def finish(self, rows: Rows) -> dict[str, str]:
        """Write the output; return the columns of answers that had to be renamed, old to new."""
        names = {name: _free(name, rows.columns) for name in self.columns}
        unfinished = self.output.with_name(f".{self.output.name}.unfinished")
        lines = self._lines()
        next(lines)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            joined = _joined(rows, lines, names)
            if suffix_of(self.output) == ".csv":
                self.formulas = _csv(file, rows.columns, [*names.values()], joined)
            else:
                _jsonl(file, joined)
        os.replace(unfinished, self.output)
        self.kept.unlink()
        return {old: new for old, new in names.items() if old != new}

    def _note(self, line: Mapping[str, Any]) -> None:
        if FAULT in line:
            self.faults += 1
        self.columns.update(dict.fromkeys(line.get("cells", ())))

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.kept.open("ab", buffering=0) as file:
            file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    def _cut(self) -> None:
        """Take away a last line that was not written to its end."""
        with self.kept.open("r+b") as file:
            end = 0
            for line in file:
                end += len(line) if line.endswith(b"\n") else 0
            file.truncate(end)

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self.kept.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {}


def told(row: Row, cells: Cells | None, fault: str = "") -> dict[str, Any]:
    """Return a row and its answer as one object, as it is printed: the row keeps its columns."""
    plain = {name: shown(cell) for name, cell in row.items()}
    answer = cells if cells is not None else {"error": fault}
    return {**plain, **{_free(name, plain): cell for name, cell in answer.items()}}


def shown(cell: Any) -> Any:
    """Return a cell of the input as text and numbers: a picture by its path."""
    if isinstance(cell, Mapping) and "bytes" in cell:
        return cell.get("path")
    return None if isinstance(cell, bytes) else cell


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name = f"predicted_{name}"
    return name


def _joined(
    rows: Rows, lines: Iterable[Mapping[str, Any]], names: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    for (_, row), line in zip(rows.read(), lines, strict=True):
        cells = line.get("cells", {})
        answer = {new: cells.get(old) for old, new in names.items()}
        yield {**{name: shown(cell) for name, cell in row.items()}, **answer}


def _csv(
    file: IO[str], own: Sequence[str], answers: Sequence[str], rows: Iterable[dict[str, Any]]
) -> int:
    """Write rows with the columns that they had and those of answers; return how many formulas."""
    writer, formulas = csv.writer(file), 0
    writer.writerow([*own, *answers])
    for row in rows:
        told = [_cell(row.get(name)) for name in answers]
        safe = [harmless(cell) for cell in told]
        formulas += sum(cell is not old for cell, old in zip(safe, told, strict=True))
        writer.writerow([*(_cell(row.get(name)) for name in own), *safe])
    return formulas


def harmless(cell: Any) -> Any:
    """Return a cell that no spreadsheet computes: what begins as a formula does, behind a `'`.

    Where that is the first of several it was the text's own, so taking one away restores it. Names
    of classes and written texts come from a model, and so from whoever made that; this is what
    OWASP advises (owasp.org/www-community/attacks/CSV_Injection).
    """
    if not isinstance(cell, str) or not FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _jsonl(file: IO[str], rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _cell(value: Any) -> Any:
    """Return a value as CSV holds it: what is no text or number as JSON."""
    if isinstance(value, list | dict | bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def suffix_of(output: str | Path) -> str:
    """Return how the name of an output ends, in small letters."""
    return PurePath(output).suffix.lower()
