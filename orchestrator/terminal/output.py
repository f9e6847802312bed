"""What commands say: to a terminal, to a pipe, or with `--json` to a program.

A `Screen` is the only thing that prints. With `--json` standard output carries one JSON document
and nothing else. On a terminal long work has progress bars; in a pipe it has a line whenever
something new happens, and every so often while nothing does. Secrets are hidden here, and control
characters shown as text, wherever they come from.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from textwrap import wrap
from typing import IO, TYPE_CHECKING, Any

from orchestrator.terminal.streaming import Streamed
from orchestrator.visible import shows_all, visible, visible_json
from worker.clock import Clock
from worker.redact import Redactor
from worker.shorten import shortened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from orchestrator.api.errors import Failure
    from orchestrator.sweep.spec import SweepSpec
    from orchestrator.terminal.stages import Stages
    from orchestrator.terminal.sweeps.board import Board
    from worker.task import Finding, Rendered

_PIPE_WIDTH = 1000
"""Columns of a pipe: programs read it, so nothing is cut."""

_LINE = 100
"""Columns that a line of facts takes at most, be it on a terminal or in a pipe."""

_ENDLESS = re.compile(r"\S{400,}")
"""A word longer than any path or address that somebody would type again."""

_BETWEEN = " · "
"""What stands between two facts."""

_SIGNS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "error": "[red]✗[/]"}
_STATES = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "lost": "red",
    "cancelled": "yellow",
}


class Screen:
    """Where a command's words go."""

    def __init__(self, clock: Clock, *, as_json: bool = False, out: IO[str] | None = None) -> None:
        self.clock = clock
        self.as_json = as_json
        self._gathered: dict[str, Any] | None = None
        """What is told inside of `one_document`."""

        self._out = out or sys.stdout
        self._redact = Redactor(os.environ)

    @cached_property
    def _console(self) -> Console:
        """What paints; a command that only says and lists to a pipe does not load it."""
        from rich.console import Console

        return Console(
            file=self._out,
            width=None if self._out.isatty() else _PIPE_WIDTH,
            quiet=self.as_json,
            highlight=False,
            soft_wrap=True,
            emoji=False,
        )

    @cached_property
    def _status(self) -> Status:
        return self._console.status("")

    @cached_property
    def _errors(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    @property
    def _plain(self) -> bool:
        """Whether nothing is painted: text goes out as it is."""
        return not self._out.isatty()

    def _clean(self, text: str) -> str:
        """Return text without secrets and without anything that would act on a terminal."""
        return self._redact(visible(text))

    def _told(self, text: str) -> str:
        """Return such text with words shortened that nobody would read: 5,000 letters as a name."""
        return _ENDLESS.sub(lambda word: shortened(word[0]), self._clean(text))

    def say(self, *lines: str) -> None:
        """Print lines of plain text, indented as all output is."""
        for line in lines:
            self._print(f"  {self._clean(line)}".rstrip())

    def _print(self, text: str) -> None:
        """Print lines of plain text; on a terminal bars stay below them."""
        if self.as_json:
            return
        if self._plain:
            self._out.write(f"{text}\n")
            self._out.flush()
        else:
            self._console.print(_escaped(text))

    def plain(self, line: str) -> None:
        """Print a line as it is, as far as it only shows: a job's output. Bars stay below it."""
        self._console.out(self._clean(line), highlight=False)

    @contextmanager
    def streamed(self) -> Iterator[Callable[[str], None]]:
        """Yield what prints a text while it is being written; at the end its line ends.

        With `--json` it says nothing.
        """
        if self.as_json:
            yield lambda piece: None
            return
        out = Streamed(self._write, self._clean, terminal=self._console.is_terminal)
        try:
            yield out
        except BaseException:
            if out.begun:
                out.close()
            raise
        out.close()

    def _write(self, text: str) -> None:
        if not self._plain:
            self._status.stop()
        self._out.write(text)
        self._out.flush()

    def aside(self, line: str) -> None:
        """Print a remark to standard error, so that what is asked for stands alone."""
        if not self._plain:
            self._status.stop()
        self._errors.print(f"  [dim]{_escaped(self._clean(line))}[/]")

    @contextmanager
    def one_document(self, part: str = "") -> Iterator[None]:
        """Print the documents of all that is done inside as one, with the keys of each.

        Inside of another such block it becomes a `part` of that one, under this name.
        """
        around, self._gathered = self._gathered, {}
        try:
            yield
        finally:
            told, self._gathered = self._gathered, around
            if told:
                self.document({part: told} if part else told)

    def document(self, document: Any) -> None:
        """Print the one JSON document of a `--json` command; nothing without `--json`."""
        if self._gathered is not None:
            self._gathered |= document
        elif self.as_json:
            self._out.write(self._as_json(document) + "\n")
            self._out.flush()

    def documents(self, documents: Iterable[Any]) -> None:
        """Print a list, as `document` does, each of its members as soon as it is there."""
        if self._gathered is not None or not self.as_json:
            self.document(list(documents) if self.as_json else [])
            return
        before = "["
        for one in documents:
            self._out.write(before + self._as_json(one))
            before = ", "
        self._out.write("[]\n" if before == "[" else "]\n")
        self._out.flush()

    def _as_json(self, document: Any) -> str:
        text = json.dumps(document, default=_as_text, ensure_ascii=not shows_all(self._out))
        return self._redact(visible_json(text))

    def findings(self, findings: Iterable[Finding]) -> None:
        """Print a report: one finding a line, its topic once, what to do next behind it.

        What is longer than a line goes on below itself.
        """
        rows = list(findings)
        width = max((len(f.topic) for f in rows), default=0)
        margin = len(f"  x {'':<{width}}  ")
        before = ("", "")
        for row in rows:
            repeated = row.level == "ok" and (row.level, row.topic) == before
            sign, topic = (" ", "") if repeated else (_SIGNS[row.level], self._clean(row.topic))
            lines: Iterable[str] = self._told(row.text).split("\n")
            if row.level == "ok":
                lines = folded(lines, min(self._console.width, _LINE) - margin)
            for text in wrapped(lines, self._console.width - margin):
                self._console.print(f"  {sign} {_escaped(topic):<{width}}  {_escaped(text)}")
                sign, topic = " ", ""
            if row.fix:
                self._console.print(f"    {'':<{width}}  [bold]{_escaped(self._told(row.fix))}[/]")
            before = (row.level, row.topic)

    def example(self, example: Rendered) -> None:
        """Print one example of the data: in brackets, and in green, what is learned of it.

        Every line of it has a bar before it, so that no row can look like words of ours.
        """
        from orchestrator.terminal.example import lines

        room = min(self._console.width, _LINE)
        for line in lines(example, self._console, room, self._clean):
            self._console.print(line)

    def error(
        self, message: str, fix: str = "", *, exit_code: int = 2, failure: Failure | None = None
    ) -> None:
        """Print what was wrong to standard error, and as JSON where that is asked for.

        Each line of the message is a problem with its mark; an indented one goes on with the last.
        `failure` is the same as data, where more is known than these words.
        """
        if self.as_json:
            from orchestrator.api.errors import told

            self.document((failure or told(message, fix, exit_code)).model_dump())
        margin = len("  x ")
        room = self._errors.width - margin if self._errors.is_terminal else _PIPE_WIDTH
        for line in self._told(message).split("\n"):
            sign = " " if line.startswith(" ") else _SIGNS["error"]
            for text in wrapped([line], room):
                self._errors.print(f"  {sign} {_escaped(text)}")
                sign = " "
        if fix:
            self._errors.print(f"    {_escaped(self._told(fix))}")

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        whole: int = 1,
        spare: Sequence[str] = (),
    ) -> None:
        """Print a table without lines, made to fit a narrow terminal.

        There cells are cut, but not the `whole` first, and columns left out: the `spare` ones.
        """
        from orchestrator.terminal.table import GAP, table

        if self.as_json:
            return
        cells = list(rows)
        text = "".join(cell for row in cells for cell in row)
        if not text.isprintable() or self._clean(text) != text:  # one look at all, as it is rare
            cells = [[self._clean(cell).replace("\n", " ") for cell in row] for row in cells]
        columns = [self._clean(column) for column in columns]
        room = None if self._plain else self._console.width
        header, *laid = table(columns, cells, whole, room, spare)
        if self._plain:
            self._print("\n".join(GAP.join(row).rstrip() for row in (header, *laid)))
        else:
            painted = (GAP.join(map(_coloured, map(_escaped, row))) for row in laid)
            self._console.print("\n".join([f"[bold]{_escaped(GAP.join(header))}[/]", *painted]))

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal that something short goes on; it leaves no trace.

        Yields what to tell, from any thread, which part of it goes on now.
        """
        if self.as_json or self._plain or not self._console.is_terminal:
            yield lambda now: None
            return
        with self._console.status(_escaped(self._clean(f"  {what}"))) as self._status:
            status = self._status
            yield lambda now: status.update(_escaped(self._clean(f"  {what}: {now}")))

    @property
    def console(self) -> Console:
        """What paints, for whoever does more than print."""
        return self._console

    @property
    def repaints(self) -> bool:
        """Whether what is shown can be painted over, as on a terminal that is more than a pipe."""
        return not (self.as_json or self._plain) and self._console.is_interactive

    @contextmanager
    def stages(self) -> Iterator[Stages]:
        """Show long work as it goes on."""
        from orchestrator.terminal.stages import Bars, Lines

        stages: Stages
        terminal = not (self.as_json or self._plain) and self._console.is_terminal
        if terminal:
            stages = Bars(self._console, self.clock, self._clean)
        else:
            stages = Lines(self.say, self.clock)
        try:
            yield stages
        finally:
            stages.close()

    @contextmanager
    def board(self, spec: SweepSpec, total: int) -> Iterator[Board]:
        """Show the trials of a sweep as they go on."""
        from orchestrator.terminal.sweeps.board import Lines, LiveBoard

        board: Board
        if not (self.as_json or self._plain) and self._console.is_terminal:
            board = LiveBoard(spec, total, self._console, self.clock, self._clean)
        else:
            board = Lines(spec, total, self.say, self.clock)
        try:
            yield board
        finally:
            board.close()


def folded(lines: Iterable[str], room: int) -> Iterator[str]:
    """Yield lines of facts, broken between two facts wherever more than `room` columns are taken.

    A fact alone is never broken: it may be a path or a command.
    """
    for line in lines:
        first, *facts = line.split(_BETWEEN)
        for fact in facts:
            if len(first) + len(_BETWEEN) + len(fact) > room:
                yield first
                first = fact
            else:
                first += _BETWEEN + fact
        yield first


def wrapped(lines: Iterable[str], room: int) -> Iterator[str]:
    """Yield lines of words, broken between words wherever more than `room` columns are taken."""
    for line in lines:
        if len(line) <= room:
            yield line
        else:
            yield from wrap(line, room, break_long_words=False, break_on_hyphens=False)


def _escaped(text: str) -> str:
    """Return text in which rich finds no markup."""
    from rich.markup import escape

    return escape(text)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _coloured(cell: str) -> str:
    style = _STATES.get(cell.split(" ", 1)[0])
    return f"[{style}]{cell}[/]" if style else cell
