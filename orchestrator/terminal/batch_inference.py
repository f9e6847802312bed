"""`hubtrain TASK --inference --input FILE`: a model answers all rows of a file, here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import create_model

from orchestrator.exits import DETACHED, FAILED
from orchestrator.inference.many import answered
from orchestrator.inference.predictions import Predictions, suffix_of, told
from orchestrator.inference.process import SECONDS, ProcessSession
from orchestrator.inference.questions import Asked, Questions, columns_of
from orchestrator.inference.rows import Rows, find
from orchestrator.settings.layers import Settings
from orchestrator.terminal.desk import Desk
from orchestrator.words import count
from worker.answers import Cells, cells
from worker.common import AskingMany, Prompting
from worker.errors import BadConfig
from worker.params import Params
from worker.task import Page, Task

NAMED = 10
"""Rows without an answer that are named; of more it is said how many there are."""

ALMOST = 0.99
"""Most that is shown as done before the end: how many rows there are may be an estimate."""


@dataclass(frozen=True)
class ByRows:
    """A model, and what it is to be asked about."""

    model: str
    page: Page
    many: AskingMany
    question: Params
    """The settings that are the same for all rows."""

    kind: type[Params]
    """The class of a single question."""

    @property
    def needed(self) -> frozenset[str]:
        """The fields without which there is no question: the first, where none has to be there."""
        known = self.kind.model_fields
        names = [one.name for one in self.page.fields if known[one.name].is_required()]
        return frozenset(names or [self.page.fields[0].name])


def many_of(task: Task[Any], settings: Settings) -> AskingMany | None:
    """Return what file is to be answered; none where it is a single question."""
    if task.question is not None and issubclass(task.question, Prompting):
        names = {"input": "prompts", "output": "output", "batch_size": "batch_size"}
        given = {new: settings.values[old] for new, old in names.items() if old in settings.values}
        many = AskingMany(**given) if given.get("input") else AskingMany()
    else:
        many = settings.of(AskingMany)
        if many.output and not many.input:
            raise BadConfig("--output takes the answers to a file.", fix="--input FILE")
    return many if many.input else None


def asked_by_rows(question: type[Params]) -> type[Params]:
    """Return the settings of a question, with none needed: each row gives those that are."""
    rows = {name: (Any, None) for name, f in question.model_fields.items() if f.is_required()}
    fields: dict[str, Any] = rows
    return create_model(question.__name__, __base__=question, **fields)


def answer_rows(
    desk: Desk, task: Task[Any], settings: Settings, by: ByRows, environ: Mapping[str, str]
) -> int:
    """Answer all rows, onto the screen or into a file; returns the exit code."""
    many, same = by.many, by.question.model_dump(mode="json", exclude_unset=True)
    if by.page.answers_as == "vector" and suffix_of(many.output or "") == ".csv":
        raise _no_vectors(many)
    rows = find(many.input or "", task.media if _sees(by.page) else ())
    columns = columns_of(task, by.page, rows, settings.values, by.needed)
    start: dict[str, Any] = {"model": by.model, "question": same, "together": many.batch_size}
    with tempfile.TemporaryDirectory() as folder:
        questions = Questions(rows, columns, by.needed, Path(folder))

        def load() -> ProcessSession:
            with desk.screen.waiting(f"Loading {by.model}"):
                return ProcessSession(task.name, start, environ, SECONDS)

        work = _Work(desk, by, rows, questions, load)
        return work.into_file(_head(by, same, columns)) if many.output else work.onto_screen()


def _sees(page: Page) -> bool:
    return any(one.kind == "image" for one in page.fields)


def _head(by: ByRows, same: Mapping[str, Any], columns: Mapping[Any, str]) -> dict[str, Any]:
    """Return what answers depend on: others may not be mixed with them."""
    path = Path(by.many.input or "").expanduser().resolve()
    stat = path.stat()
    named = {one.name: column for one, column in columns.items()}
    at = {"input": str(path), "bytes": stat.st_size, "changed": stat.st_mtime_ns}
    return {"model": by.model, **at, "columns": named, "settings": dict(same)}


@dataclass
class _Work:
    """The rows of an input, asked about from some row on."""

    desk: Desk
    by: ByRows
    rows: Rows
    questions: Questions
    load: Any

    def onto_screen(self) -> int:
        """Print each row with its answer."""
        screen, faults = self.desk.screen, 0
        with closing(self.load()) as process:
            for one, said in answered(process, self.questions.read(0)):
                line = told(one.row, self._cells(said), said.get("message", ""))
                faults += "message" in said
                screen.plain(json.dumps(line, ensure_ascii=False, default=str))
                screen.document(line)
        return self._ended(faults, [])

    def into_file(self, head: Mapping[str, Any]) -> int:
        """Write the answers, going on where an earlier run was."""
        screen = self.desk.screen
        made = Predictions(Path(self.by.many.output or ""), head)
        if done := made.begin():
            screen.aside(f"{done:,} of {count(self.rows.total, 'row')} are answered already")
        named: list[str] = []
        try:
            done += self._answer(made, done, named)
        except KeyboardInterrupt:
            screen.aside("Stopped. The same command goes on where it was.")
            return DETACHED
        with screen.waiting(f"Writing {made.output}"):
            renamed = made.finish(self.rows)
        for old, new in renamed.items():
            screen.aside(f'"{old}" of the answers is "{new}": {self.rows.name} has a "{old}"')
        if made.formulas:
            text = (
                f"{count(made.formulas, 'answer')} would be a spreadsheet's formula: a ' is before"
            )
            screen.aside(f"{text} it. In a file .jsonl answers stand as they are")
        screen.say(f"{count(done, 'row')} in {made.output}")
        summary = {"model": self.by.model, "output": str(made.output), "rows": done}
        screen.document({**summary, "unanswered": made.faults})
        return self._ended(made.faults, named)

    def _answer(self, made: Predictions, start: int, named: list[str]) -> int:
        """Answer the rows from `start` on and keep what comes; return how many those were."""
        rest = self.questions.read(start)
        if (first := next(rest, None)) is None:
            return 0
        number, expected = start, self.rows.total
        with closing(self.load()) as process, self.desk.screen.stages() as stages:
            for number, (one, said) in enumerate(answered(process, _with(first, rest)), start + 1):
                made.add(self._cells(said), said.get("message", ""))
                if "message" in said and len(named) < NAMED:
                    named.append(f"{one.where}: {said['message']}")
                total = max(number, expected)
                stages.show("Answering", min(number / total, ALMOST), f"{number:,}/{total:,}")
            stages.show("Answering", 1.0, f"{number:,}/{number:,}")
        return number - start

    def _cells(self, said: Mapping[str, Any]) -> Cells | None:
        """Return the columns of an answer; none where there is none."""
        if "answer" not in said:
            return None
        found = cells(self.by.page.answers_as, said["answer"])
        if "vector" in found and suffix_of(self.by.many.output or "") == ".csv":
            raise _no_vectors(self.by.many)
        return found

    def _ended(self, faults: int, named: list[str]) -> int:
        """Say how many rows have no answer, and which; returns the exit code."""
        if not faults:
            return 0
        more = faults - len(named)
        rest = [f"  and {more:,} more"] if named and more else []
        empty = "is" if faults == 1 else "are"
        text = f"{count(faults, 'row')} could not be answered and {empty} left empty."
        for line in [text, *(f"  {line}" for line in named), *rest]:
            self.desk.screen.aside(line)
        return FAILED


def _with(first: Asked, rest: Any) -> Any:
    yield first
    yield from rest


def _no_vectors(many: AskingMany) -> BadConfig:
    stem = Path(many.output or "").with_suffix(".jsonl")
    return BadConfig("vectors are written as .jsonl alone.", fix=f"--output {stem}")
