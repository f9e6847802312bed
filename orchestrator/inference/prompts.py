"""A file of prompts, and the file of their answers, which is written as they come.

An answer is one line, written at once, so that whenever a run ends only whole lines are there; the
next run goes on behind them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.visible import visible_json
from worker.columns import no_column
from worker.errors import BadConfig, BadData
from worker.numerals import spelled
from worker.reading import FileTable
from worker.reading.diagnose import TO_UTF8
from worker.reading.files import format_of, on_disk
from worker.session import Messages, Reply

STDIN = "-"
"""In place of a prompt or a file of them: standard input."""

MESSAGES = "messages"
"""Column of conversations, where there is none of prompts."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One of the prompts of a file."""

    said: str | list[dict[str, str]]
    """As it stands there: a text, or messages."""

    def messages(self, system: str | None = None) -> Messages:
        """Return what is answered, with `system` before it where it has no such message."""
        said = self.said
        chat = [{"role": "user", "content": said}] if isinstance(said, str) else said
        before = system and chat[0]["role"] != "system"
        return [{"role": "system", "content": system or ""}, *chat] if before else chat


def read(name: str, column: str) -> list[Prompt]:
    """Return the prompts of a file, or of standard input. Raises `BadData`, with the line.

    Of a conversation that ends with an answer the answer is left out: it is what is asked for.
    """
    if name == STDIN:
        prompts = _lines(sys.stdin.buffer.read(), "standard input")
    elif not (path := Path(name).expanduser()).is_file():
        raise BadData(f"no file {name}.")
    elif format_of(path.name) is None:
        prompts = _lines(path.read_bytes(), name)
    else:
        prompts = list(_rows(path, column))
    if not prompts:
        raise BadData(f"{name} holds no prompt.")
    return prompts


def _lines(text: bytes, source: str) -> list[Prompt]:
    try:
        lines = text.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise BadData(f"{source} is no text in UTF-8.", fix=TO_UTF8) from error
    return [Prompt(line.rstrip("\r")) for line in lines if line.strip()]


def _rows(path: Path, column: str) -> Iterator[Prompt]:
    table = FileTable(path.name, (on_disk(path),))
    columns = table.columns()
    if column not in columns:
        if MESSAGES not in columns:
            raise no_column(column, columns, path.name, "--prompt-text-column")
        column = MESSAGES
    for line, row in table.rows():
        cell, where = spelled(row[column]), f'"{column}" in line {line} of {path.name}'
        if isinstance(cell, str) and cell.strip():
            yield Prompt(cell)
        elif isinstance(cell, list) and (chat := _chat(cell)):
            yield Prompt(chat)
        elif isinstance(cell, list | dict):
            raise BadData(f"{where} is no conversation: a list of messages with role and content.")
        else:
            raise BadData(f"{where} is empty.", fix="Take the line out, or write a prompt there.")


def _chat(cell: Sequence[Any]) -> list[dict[str, str]]:
    """Return messages up to what is to be answered; none where these are no messages."""
    found = []
    for message in cell:
        said = message if isinstance(message, Mapping) else {}
        role, content = said.get("role"), said.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            return []
        found.append({"role": role, "content": content})
    while found and found[-1]["role"] == "assistant":
        found.pop()
    return found


@dataclass(frozen=True, slots=True)
class Answers:
    """The file of answers of one model."""

    path: Path
    model: str

    def told(self, prompt: Prompt, reply: Reply) -> dict[str, Any]:
        """Return a prompt with its answer, as it is written."""
        return {"prompt": prompt.said, "answer": reply.text, "end": reply.end, "model": self.model}

    def there(self, prompts: Sequence[Prompt]) -> int:
        """Return how many of the prompts are answered already; a torn last line is taken away.

        Raises `BadConfig` where the file holds anything else.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return 0
        whole = text[: text.rfind(b"\n") + 1]
        lines = whole.splitlines()
        same = len(lines) <= len(prompts) and all(
            _is_of(line, prompt.said, self.model)
            for line, prompt in zip(lines, prompts, strict=False)
        )
        if not same:
            raise BadConfig(
                f"{self.path} holds something else than this model's answers to these prompts.",
                fix="--output with another name",
            )
        if len(whole) < len(text):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        return len(lines)

    def write(self, prompt: Prompt, reply: Reply) -> None:
        """Append an answer in one piece."""
        line = visible_json(json.dumps(self.told(prompt, reply), ensure_ascii=False))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode() + b"\n")


def _is_of(line: bytes, prompt: Any, model: str) -> bool:
    try:
        told = json.loads(line)
    except ValueError:
        return False
    return isinstance(told, dict) and (told.get("prompt"), told.get("model")) == (prompt, model)
