"""Which columns hold prompt, better and worse answer, and what one row of them says.

Answers are strings or conversations. The prompt has a column of its own, or both answers begin
with it. It knows no tokens and does not render chats.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.errors import BadData
from worker.nearest import nearest
from worker.splits import Row
from worker.tasks.llm import cells
from worker.tasks.llm.chat import Message
from worker.tasks.llm.pairs.params import Pairs
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.rows import Answer, Chat, Kind, Layout, no_column, system_of

_ANSWERS = (
    ("chosen", "rejected"),
    ("text", "rejected_text"),
    ("text", "rejected"),
    ("chosen", "rejected_text"),
)
"""Usual names of the better and the worse answer; the second is AutoTrain's."""

_FLAGS = ("--text-column", "--rejected-text-column")

_PROMPTS = ("prompt", "question", "instruction")

Turns = tuple[Message, ...]


class NothingToCompare(Exception):
    """A row that is in order and still shows no preference; it is left out. Says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt, each together with it."""

    chosen: Answer | Chat
    rejected: Answer | Chat


@dataclass(frozen=True, slots=True)
class PairLayout(Layout):
    """Where the pairs are: `columns` are those of the chosen and the rejected answer."""

    prompt: str | None = None
    """Column of the prompt; without one both answers begin with it."""

    as_chat: bool = False
    """Whether strings, too, are what a user asks and an assistant answers."""

    @property
    def what(self) -> str:
        """What its rows are called, in the plural."""
        return "pairs of answers"

    def pair(self, row: Row, line: int) -> Pair | None:
        """Return what the row says, none if it says nothing.

        Raises `BadData` naming the line, and `NothingToCompare`.
        """
        named = {name: _cell(row.get(name)) for name in (self.prompt, *self.columns) if name}
        if all(map(cells.is_empty, named.values())):
            return None
        for name in self.columns:
            _needed(name, named[name])
        prompt, (chosen, rejected) = named.get(self.prompt or ""), (named[c] for c in self.columns)
        if chosen == rejected:
            raise NothingToCompare("both answers are the same")
        where = f"line {line} of {self.source}"
        if any(isinstance(cell, list | tuple) for cell in (prompt, chosen, rejected)):
            return self._chats(prompt, chosen, rejected, row, where)
        if self.prompt:
            _needed(self.prompt, prompt)
        texts = (
            cells.string(cell, column, where)
            for cell, column in zip((chosen, rejected), self.columns, strict=True)
        )
        return self._texts(prompt, *texts, row=row, where=where)

    def _texts(self, prompt: Any, chosen: str, rejected: str, *, row: Row, where: str) -> Pair:
        if self.prompt is None:
            begun = shared_text(chosen, rejected)
            length = len(begun)
            return Pair(Answer(begun, chosen[length:]), Answer(begun, rejected[length:]))
        if self.as_chat:
            return self._chats(prompt, chosen, rejected, row, where)
        asked = cells.string(prompt, self.prompt, where)
        return Pair(Answer(asked, chosen), Answer(asked, rejected))

    def _chats(self, prompt: Any, chosen: Any, rejected: Any, row: Row, where: str) -> Pair:
        tools = cells.tools_in(row.get("tools"), where)
        better, worse = (
            _turns(cell, "assistant", column, where)
            for cell, column in zip((chosen, rejected), self.columns, strict=True)
        )
        asked = _turns(prompt, "user", str(self.prompt), where)
        given, better, worse = _parted(asked, better, worse, isinstance(prompt, list | tuple))
        self._check(given, better, worse, where)
        given = (*self._told(row, given, where), *given)
        chats = (Chat((*given, *turns), tools, given=len(given)) for turns in (better, worse))
        return Pair(*chats)

    def _check(self, given: Turns, better: Turns, worse: Turns, where: str) -> None:
        """Raise `BadData` where two conversations are not two answers to one prompt."""
        if not all(turns and turns[0]["role"] == "assistant" for turns in (better, worse)):
            raise BadData(
                f'"{self.columns[0]}" and "{self.columns[1]}" in {where} differ before the '
                "assistant speaks: they answer different prompts."
            )
        if not given:
            raise BadData(
                f"{where} has no prompt: neither a column of its own, nor turns that "
                f'"{self.columns[0]}" and "{self.columns[1]}" both begin with.'
            )


def layout_of(
    columns: Sequence[str], first: Row, params: LlmParams, own: Pairs, source: str
) -> PairLayout:
    """Return where the pairs are. Raises `BadData` with the columns there are.

    `first` is a row that is not empty, to tell texts from chats.
    """
    answers = _answers(columns, first, params, own, source)
    prompt = _prompt(columns, first, params, source, answers)
    as_chat = params.chat_template is not None and prompt is not None
    chat = as_chat or any(isinstance(_cell(first.get(n)), list) for n in (prompt, *answers) if n)
    kind: Kind = "messages" if chat else "prompt"
    system = system_of(columns) if chat else None
    return PairLayout(kind, answers, source, system=system, prompt=prompt, as_chat=as_chat)


def _answers(
    columns: Sequence[str], first: Row, params: LlmParams, own: Pairs, source: str
) -> tuple[str, str]:
    asked = (params.text_column, own.rejected_text_column)
    usual = (
        LlmParams.model_fields["text_column"].default,
        Pairs.model_fields["rejected_text_column"].default,
    )
    for names in _ANSWERS:
        better, worse = (
            name if one == default else one
            for one, default, name in zip(asked, usual, names, strict=True)
        )
        if better in columns and worse in columns:
            return better, worse
    taken = (*asked, params.prompt_text_column, *_PROMPTS)
    missing = [flag for flag, name in zip(_FLAGS, asked, strict=True) if name not in columns]
    if len(missing) == 1:
        name = asked[_FLAGS.index(missing[0])]
        raise no_column(name, missing[0], columns, first, source, taken=taken)
    raise _no_answers(asked, columns, first, source, taken)


def _no_answers(
    asked: tuple[str, str], columns: Sequence[str], first: Row, source: str, taken: Sequence[str]
) -> BadData:
    """Return that neither answer has its column, with the two that may be theirs."""
    said = no_column(asked[0], "", columns, first, source).message
    said = said.replace(" in ", f' and no column "{asked[1]}" in ', 1)
    free = [n for n in columns if n not in taken and isinstance(first.get(n), str | list)]
    near = list(dict.fromkeys(nearest(name, free) for name in asked))
    likely = near if len(near) == len(asked) and all(near) else free
    if len(likely) != len(asked):
        fix = f"{_FLAGS[0]} with that of the better answer, {_FLAGS[1]} with that of the worse one"
        return BadData(said, fix=fix)
    named = (f"{flag} {shlex.quote(str(n))}" for flag, n in zip(_FLAGS, likely, strict=True))
    return BadData(f"{said} The better answer's is named first:", fix=" ".join(named))


def _prompt(
    columns: Sequence[str], first: Row, params: LlmParams, source: str, taken: tuple[str, str]
) -> str | None:
    asked = params.prompt_text_column
    if asked in columns:
        return asked
    if asked != LlmParams.model_fields["prompt_text_column"].default:
        raise no_column(asked, "--prompt-text-column", columns, first, source, taken=taken)
    return next((name for name in _PROMPTS if name in columns and name not in taken), None)


def shared_text(one: str, other: str) -> str:
    """Return what two texts begin with, up to a word that both have to themselves.

    The space before that word is left to it, as tokens have it; neither text is used up.
    """
    differ = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    end = next(differ, min(len(one), len(other)) - 1)
    begun = one[:end]
    if any(text[end].isalnum() for text in (one, other)):
        begun = re.sub(r"\w+$", "", begun)
    return begun.rstrip(" ")


def _parted(asked: Turns, better: Turns, worse: Turns, written: bool) -> tuple[Turns, Turns, Turns]:
    """Return the prompt, and the two answers without it.

    Answers may be whole conversations. A prompt of messages that is not in them stands before them
    (`written`); one that is a string is in there.
    """
    length = len(asked)
    if written and better[:length] == asked == worse[:length]:
        return asked, better[length:], worse[length:]
    if asked and better[0]["role"] == "assistant" == worse[0]["role"]:
        return asked, better, worse
    most = min(len(better), len(worse)) - 1
    length = next((i for i in range(most) if better[i] != worse[i]), most)
    given = (*asked, *better[:length]) if written else better[:length]
    return given, better[length:], worse[length:]


def _turns(cell: Any, role: str, column: str, where: str) -> Turns:
    """Return messages; a string is said by `role`."""
    if cells.is_empty(cell):
        return ()
    if isinstance(cell, list | tuple):
        return cells.messages(cell, column, where)
    return ({"role": role, "content": cells.string(cell, column, where)},)


def _cell(cell: Any) -> Any:
    """Return messages in a list, one alone too, and anything else as it is."""
    cell = cells.decoded(cell)
    return [cell] if isinstance(cell, Mapping) else cell


def _needed(name: str, cell: Any) -> None:
    if cells.is_empty(cell):
        raise NothingToCompare(f'"{name}" is empty')
