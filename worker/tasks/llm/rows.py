"""Which columns hold the examples, and what one row of them says.

Recognises `text`, `messages` (also as ShareGPT's `conversations`, or as JSON in a CSV cell), and
prompt with completion, and instructions as in Alpaca and Dolly, what they are about included.
Everything it refuses is refused in the user's words, with the flag to type. It knows no tokens and
does not render chats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import worker.columns
from worker.errors import BadData
from worker.splits import Row
from worker.tasks.llm import cells
from worker.tasks.llm.chat import Message
from worker.tasks.llm.params import LlmParams

Kind = Literal["text", "messages", "prompt", "instruction"]

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

_WHAT: Mapping[Kind, str] = {
    "messages": "conversations",
    "prompt": "prompts with completions",
    "instruction": "instructions with answers",
    "text": "texts",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the examples are in the columns of `source`."""

    kind: Kind
    columns: tuple[str, ...]
    source: str
    context: str | None = None
    """Column of what an instruction is about; a row may leave it empty."""

    @property
    def what(self) -> str:
        """What its rows are called, in the plural."""
        return _WHAT[self.kind]

    def read(self, row: Row, line: int) -> Said | None:
        """Return what the row says, none if it says nothing. Raises `BadData` naming the line."""
        found = [cells.decoded(row.get(column)) for column in self.columns]
        if any(cells.is_empty(cell) for cell in found):
            return None
        where = f"line {line} of {self.source}"
        if self.kind == "text":
            return Text(cells.string(found[0], self.columns[0], where))
        tools = cells.tools_in(row.get("tools"), where)
        if self.kind == "messages":
            return Chat(cells.messages(found[0], self.columns[0], where), tools)
        prompt, answer = self._with_context(found[0], row, where), found[1]
        if self.kind == "instruction":
            answer = [
                {"role": "assistant", "content": cells.string(answer, self.columns[1], where)}
            ]
        return self._answer(prompt, answer, tools, where)

    def _with_context(self, prompt: Any, row: Row, where: str) -> Any:
        """Return the prompt, and below it what it is about."""
        cell = row.get(self.context) if self.context else None
        if cells.is_empty(cell) or not isinstance(prompt, str):
            return prompt
        return f"{prompt}\n\n{cells.string(cell, str(self.context), where)}"

    def _answer(
        self, prompt: Any, completion: Any, tools: tuple[Mapping[str, Any], ...], where: str
    ) -> Said:
        if isinstance(prompt, str) and isinstance(completion, str):
            return Answer(prompt, completion)
        turns = [("user", prompt, self.columns[0]), ("assistant", completion, self.columns[1])]
        asked, said = (
            ({"role": role, "content": cell},) if isinstance(cell, str)
            else cells.messages(cell, column, where)
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
                    raise no_column(name, flag, columns, first, source, taken=pair)
            return Layout("prompt", pair, source, _context(pair[0], columns, pair))
        for task, about, answer in _INSTRUCTIONS:
            if task in columns and answer in columns:
                context = about if about in columns else None
                return Layout("instruction", (task, answer), source, context)
    raise _known_pair(asked, columns, source) or no_column(
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


def no_column(
    name: str,
    flag: str,
    columns: Sequence[str],
    first: Row,
    source: str,
    *,
    taken: Sequence[str] = (),
) -> BadData:
    """Return that there is no column `name`, with what to type behind `flag` where one is near.

    `first` is a row that is not empty; columns that are `taken` are not suggested.
    """
    free = [column for column in columns if column not in taken]
    texts = [column for column in free if isinstance(first.get(column), str | list)]
    longest = max(texts, key=lambda column: len(first[column]), default="")
    else_ = ("The longest text is in", longest)
    return worker.columns.no_column(name, columns, source, flag, among=free, else_=else_)


def _kind(cell: Any) -> Kind:
    return "text" if isinstance(cells.decoded(cell), str) or cell is None else "messages"
