"""Which columns hold the examples, and what one row of them says.

Recognises `text`, `messages` (also as ShareGPT's `conversations`, or as JSON in a CSV cell), prompt
with completion, questions with answers, and instructions as in Alpaca and Dolly, what they are
about included; docs/data.md shows them. Everything it refuses is refused in the user's words, with
the flag to type. It knows no tokens and does not render chats.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import worker.columns
from worker.errors import BadData
from worker.shorten import some
from worker.splits import Row
from worker.tasks.llm import cells
from worker.tasks.llm.chat import Message
from worker.tasks.llm.params import LlmParams

Kind = Literal["text", "messages", "prompt", "instruction", "question"]

QUESTIONS = ("question", "query", "prompt", "input")
_ANSWERS = ("answer", "response", "output")
"""Usual names of what is asked and what is answered, where each has one column and no more."""

_PAIR = ("prompt_text_column", "completion_column")

SYSTEM = ("system", "system_prompt")
"""Usual names of what the assistant is told before all else, as in OpenOrca."""

_TASK, _ABOUT, _DONE = "instruction", ("input", "context"), ("output", "response")
"""Columns of Alpaca and of Dolly: what to do, with what (which may be empty), and the answer. Sets
made of both mix their names."""

CHAT_COLUMNS = ("messages", "conversations", "conversation")


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
    "question": "questions with answers",
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

    system: str | None = None
    """Column of what the assistant is told first; a row may leave it empty."""

    turns: bool = False
    """Whether prompt and completion are turns of a conversation even where both are strings."""

    @property
    def chat(self) -> bool:
        """Whether rows become conversations, which a chat template writes."""
        return self.turns or self.kind in {"messages", "instruction", "question"}

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
            chat = cells.messages(found[0], self.columns[0], where)
            return Chat((*self._told(row, chat, where), *chat), tools)
        prompt, answer = self._with_context(found[0], row, where), found[1]
        if self.chat and not isinstance(answer, list):
            answer = [
                {"role": "assistant", "content": cells.string(answer, self.columns[1], where)}
            ]
        if self.chat and not isinstance(prompt, list):
            said = {"role": "user", "content": cells.string(prompt, self.columns[0], where)}
            prompt = [*self._told(row, (), where), said]
        return self._answer(prompt, answer, tools, where)

    def _told(self, row: Row, chat: Sequence[Message], where: str) -> tuple[Message, ...]:
        """Return what the assistant is told first, where a row says it outside of its messages."""
        cell = row.get(self.system) if self.system else None
        if cells.is_empty(cell) or (chat and chat[0]["role"] == "system"):
            return ()
        return ({"role": "system", "content": cells.string(cell, str(self.system), where)},)

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
    system = system_of(columns)
    if asked in columns:
        return Layout(_kind(first.get(asked)), (asked,), source, system=system)
    if asked == default:
        found = (
            _chat(columns, source, system)
            or _pair(columns, first, params, source, system)
            or _instruction(columns, source, system)
            or _question(columns, source, system)
        )
        if found is not None:
            return found
    refuse_pairs(asked, columns, source, ", or --text-column chosen, which learns the better ones")
    refused = no_column(asked, "--text-column", columns, first, source)
    raise _or_a_pair(refused, columns, first) if asked == default else refused


def system_of(columns: Sequence[str]) -> str | None:
    """Return the column of what the assistant is told first, where there is one."""
    return next((name for name in SYSTEM if name in columns), None)


def _or_a_pair(refused: BadData, columns: Sequence[str], first: Row) -> BadData:
    """Return what is refused; two columns of text may be a prompt and its answer."""
    texts = [name for name in columns if isinstance(first.get(name), str)]
    if len(texts) != 2:  # noqa: PLR2004
        return refused
    one, two = map(shlex.quote, texts)
    pair = f"--prompt-column {one} --completion-column {two}"
    return BadData(refused.message, fix=f"{refused.fix}  or, for a prompt and its answer,  {pair}")


def _chat(columns: Sequence[str], source: str, system: str | None) -> Layout | None:
    name = next((name for name in CHAT_COLUMNS if name in columns), None)
    return Layout("messages", (name,), source, system=system) if name else None


def _pair(
    columns: Sequence[str], first: Row, params: LlmParams, source: str, system: str | None
) -> Layout | None:
    """Return prompt and completion, where either is there and it is not a question's prompt.

    A chat template that is asked for writes them as turns.
    """
    pair = (params.prompt_text_column, params.completion_column)
    missing = [name for name in pair if name not in columns]
    usual = pair == tuple(LlmParams.model_fields[n].default for n in _PAIR)
    if len(missing) == len(pair) or (missing and usual and _question(columns, source, system)):
        return None
    for name, flag in zip(pair, ("--prompt-column", "--completion-column"), strict=True):
        if name in missing:
            raise no_column(name, flag, columns, first, source, taken=pair)
    about, turns = context_of(pair[0], columns, pair), params.chat_template is not None
    return Layout("prompt", pair, source, about, system if turns else None, turns)


def _instruction(columns: Sequence[str], source: str, system: str | None) -> Layout | None:
    answer = next((name for name in _DONE if name in columns), None)
    if _TASK not in columns or answer is None:
        return None
    context = context_of(_TASK, columns, ())
    return Layout("instruction", (_TASK, answer), source, context, system)


def _question(columns: Sequence[str], source: str, system: str | None) -> Layout | None:
    """Return question and answer under their usual names; none where there are several of one."""
    asked = [name for name in QUESTIONS if name in columns]
    answers = [name for name in _ANSWERS if name in columns]
    if len(asked) != 1 or len(answers) != 1:
        return None
    return Layout("question", (asked[0], answers[0]), source, system=system)


def context_of(prompt: str, columns: Sequence[str], taken: Sequence[str]) -> str | None:
    """Return the column that belongs to the prompts of a column, where there is one."""
    about = _ABOUT if prompt == _TASK else ()
    return next((name for name in about if name in columns and name not in taken), None)


def refuse_pairs(name: str, columns: Sequence[str], source: str, else_: str = "") -> None:
    """Raise `BadData` where there is no column `name`, and there are a better and a worse answer.

    `else_` is what else may be typed than the trainer for those.
    """
    if name not in columns and {"chosen", "rejected"} <= set(columns):
        raise BadData(
            f'no column "{name}" in {source}: it has pairs of answers, chosen and rejected.',
            fix=f"--trainer dpo, which learns from pairs{else_}",
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
    if not texts and (objects := [c for c in free if isinstance(first.get(c), Mapping)]):
        said = worker.columns.no_column(name, columns, source).message
        return BadData(
            f"{said} What is inside of {some(objects)} is in no column.",
            fix="Write it one level higher, beside those names.",
        )
    longest = max(texts, key=lambda column: len(first[column]), default="")
    else_ = ("The longest text is in", longest)
    return worker.columns.no_column(name, columns, source, flag, among=free, else_=else_)


def _kind(cell: Any) -> Kind:
    return "text" if isinstance(cells.decoded(cell), str) or cell is None else "messages"
