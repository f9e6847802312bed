"""Which columns hold the examples, and what one row of them says.

Recognises `text`, `messages` (also as ShareGPT's `conversations`, or as JSON in a CSV cell), and
prompt with completion, and instructions as in Alpaca and Dolly, what they are about included.
Everything it refuses is refused in the user's words, with the flag to type. It knows no tokens and
does not render chats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

from worker.errors import BadData
from worker.nearest import nearest
from worker.splits import Row
from worker.tasks.llm.chat import Message
from worker.tasks.llm.params import LlmParams

Kind = Literal["text", "messages", "prompt", "instruction"]

_SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}
_PAIRS = (
    ("question", "answer"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("input", "output"),
)
"""Usual names of what is asked and what is answered."""

_INSTRUCTIONS = (("instruction", "input", "output"), ("instruction", "context", "response"))
"""Columns of Alpaca and of Dolly: what to do, with what (which may be empty), and the answer."""

_CHAT_COLUMNS = ("messages", "conversations", "conversation")


@dataclass(frozen=True, slots=True)
class Text:
    """A text to learn whole."""

    text: str


@dataclass(frozen=True, slots=True)
class Chat:
    """Turns of a conversation; the assistant's are to be learned."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    """What the assistant may call, from a column `tools`."""

    given: int = 0
    """How many messages at the beginning are a prompt, of which nothing is learned."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A prompt and what follows it, as strings."""

    prompt: str
    completion: str


Said = Text | Chat | Answer


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the examples are in the columns of `source`."""

    kind: Kind
    columns: tuple[str, ...]
    source: str
    context: str | None = None
    """Column of what an instruction is about; a row may leave it empty."""

    def read(self, row: Row, line: int) -> Said | None:
        """Return what the row says, none if it says nothing. Raises `BadData` naming the line."""
        cells = [_decoded(row.get(column)) for column in self.columns]
        if any(_is_empty(cell) for cell in cells):
            return None
        where = f"line {line} of {self.source}"
        if self.kind == "text":
            return Text(_string(cells[0], self.columns[0], where))
        tools = _tools(row.get("tools"), where)
        if self.kind == "messages":
            return Chat(_messages(cells[0], self.columns[0], where), tools)
        prompt, answer = self._with_context(cells[0], row, where), cells[1]
        if self.kind == "instruction":
            answer = [{"role": "assistant", "content": _string(answer, self.columns[1], where)}]
        return self._answer(prompt, answer, tools, where)

    def _with_context(self, prompt: Any, row: Row, where: str) -> Any:
        """Return the prompt, and below it what it is about."""
        cell = row.get(self.context) if self.context else None
        if _is_empty(cell) or not isinstance(prompt, str):
            return prompt
        return f"{prompt}\n\n{_string(cell, str(self.context), where)}"

    def _answer(
        self, prompt: Any, completion: Any, tools: tuple[Mapping[str, Any], ...], where: str
    ) -> Said:
        if isinstance(prompt, str) and isinstance(completion, str):
            return Answer(prompt, completion)
        turns = [("user", prompt, self.columns[0]), ("assistant", completion, self.columns[1])]
        asked, said = (
            ({"role": role, "content": cell},) if isinstance(cell, str)
            else _messages(cell, column, where)
            for role, cell, column in turns
        )  # fmt: skip
        return Chat((*asked, *said), tools, given=len(asked))


def layout_of(columns: Sequence[str], first: Row, params: LlmParams, source: str) -> Layout:
    """Return where the examples are. Raises `BadData` with the columns there are.

    `first` is a row that is not empty, to tell texts from chats.
    """
    default = LlmParams.model_fields["text_column"].default
    asked = params.text_column
    if asked in columns:
        return Layout(_kind(first.get(asked)), (asked,), source)
    if asked == default:
        for name in _CHAT_COLUMNS:
            if name in columns:
                return Layout("messages", (name,), source)
        pair = (params.prompt_text_column, params.completion_column)
        if pair[0] in columns or pair[1] in columns:
            for name, flag in zip(pair, ("--prompt-column", "--completion-column"), strict=True):
                if name not in columns:
                    raise _no_column(name, flag, columns, first, source, taken=pair)
            return Layout("prompt", pair, source, _context(pair[0], columns, pair))
        for task, about, answer in _INSTRUCTIONS:
            if task in columns and answer in columns:
                context = about if about in columns else None
                return Layout("instruction", (task, answer), source, context)
    raise _known_pair(asked, columns, source) or _no_column(
        asked, "--text-column", columns, first, source
    )


def _context(prompt: str, columns: Sequence[str], taken: Sequence[str]) -> str | None:
    """Return the column that belongs to the prompts of a column, where there is one."""
    about = (about for task, about, _ in _INSTRUCTIONS if task == prompt)
    return next((name for name in about if name in columns and name not in taken), None)


def _known_pair(asked: str, columns: Sequence[str], source: str) -> BadData | None:
    """Return what to type for questions and answers under other usual names."""
    found = next((pair for pair in _PAIRS if set(pair) <= set(columns)), None)
    if found is None:
        return None
    said = f'no column "{asked}" in {source}; it has: {", ".join(columns)}.'
    prompt, answer = found
    return BadData(
        f'{said} It looks like "{prompt}" and "{answer}":',
        fix=f"--prompt-text-column {prompt} --completion-column {answer}",
    )


def _no_column(
    name: str,
    flag: str,
    columns: Sequence[str],
    first: Row,
    source: str,
    *,
    taken: Sequence[str] = (),
) -> BadData:
    free = [column for column in columns if column not in taken]
    said = f'no column "{name}" in {source}; it has: {", ".join(columns)}.'
    if near := nearest(name, free):
        return BadData(f'{said} The nearest is "{near}":', fix=f"{flag} {near}")
    if texts := [column for column in free if isinstance(first.get(column), str | list)]:
        longest = max(texts, key=lambda column: len(first[column]))
        return BadData(f'{said} The longest text is in "{longest}":', fix=f"{flag} {longest}")
    return BadData(said)


def _kind(cell: Any) -> Kind:
    return "text" if isinstance(_decoded(cell), str) or cell is None else "messages"


def _decoded(cell: Any) -> Any:
    """Return messages that a CSV cell holds as JSON; anything else as it is."""
    if isinstance(cell, str) and cell.lstrip().startswith("[{"):
        try:
            found = json.loads(cell)
        except json.JSONDecodeError:
            return cell
        return found if all(_role_of(m) for m in found) else cell
    return cell


def _is_empty(cell: Any) -> bool:
    if cell is None or (isinstance(cell, float) and isnan(cell)):  # how tables say: nothing here
        return True
    return not cell.strip() if isinstance(cell, str) else not cell and cell != 0


def _string(cell: Any, column: str, where: str) -> str:
    if isinstance(cell, str | int | float):
        return str(cell)
    raise BadData(f'"{column}" in {where} is {_shown(cell)}, where text is expected.')


def _messages(cell: Any, column: str, where: str) -> tuple[Message, ...]:
    if not isinstance(cell, list | tuple):
        raise BadData(
            f'"{column}" in {where} is {_shown(cell)}, where a list of messages is expected.'
        )
    filled = _filled_by_a_table(cell)
    return tuple(_message(message, filled, f'"{column}" in {where}') for message in cell)


def _tools(cell: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """Return the tools in a cell, which may be JSON. Raises `BadData` if it is something else."""
    if _is_empty(cell):
        return ()
    try:
        found = json.loads(cell) if isinstance(cell, str) else cell
    except json.JSONDecodeError:
        found = cell
    if not isinstance(found, list) or not all(isinstance(tool, Mapping) for tool in found):
        raise BadData(f'"tools" in {where} is {_shown(cell)}, where a list of tools is expected.')
    return tuple(_filled(tool) for tool in found)


def _filled(value: Any) -> Any:
    """Return a value without the empty keys a table gives it because other rows fill them."""
    if isinstance(value, Mapping):
        return {key: _filled(one) for key, one in value.items() if one is not None}
    return [_filled(one) for one in value] if isinstance(value, list | tuple) else value


def _filled_by_a_table(messages: Sequence[Any]) -> bool:
    """Whether all have the same keys, as in a table, where what a row lacks is none.

    Written by hand, the arguments of a call may be none, and other messages have no calls.
    """
    return len({frozenset(one) for one in messages if isinstance(one, Mapping)}) == 1


def _message(message: Any, filled: bool, where: str) -> Message:
    role = _role_of(message)
    if not role:
        raise BadData(
            f"A message of {where} is {_shown(message)}; "
            'each needs "role" and "content" (or "from" and "value").'
        )
    content = message.get("content", message.get("value"))
    cells = {k: v for k, v in message.items() if k not in {"from", "value"} and v is not None}
    said = {**cells, "content": "" if content is None else content}
    return {**(_filled(said) if filled else said), "role": role}


def _role_of(message: Any) -> str:
    if not isinstance(message, Mapping):
        return ""
    role = message.get("role") or message.get("from") or ""
    return _SHAREGPT_ROLES.get(role, str(role)) if "from" in message else str(role)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"  # noqa: PLR2004
