"""What a model is asked: the prompts of a table, and what goes with each to reward functions.

Reads `prompt` (text or messages), conversations up to where the assistant is to speak, questions
and instructions. The same for preflight and training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.errors import BadConfig, BadData
from worker.splits import Row, Split
from worker.tasks.llm import cells, rows
from worker.tasks.llm.broken import Broken
from worker.tasks.llm.chat import Message
from worker.tasks.llm.data import Speech, with_fullest
from worker.tasks.llm.grpo.signature import GIVEN
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Example

Asked = str | tuple[Message, ...]

OWN = GIVEN | {"prompt", "completion"}
"""Names that a column is not handed on by: they mean something else to reward functions."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked."""

    example: Example
    """As text; nothing of it is learned."""

    asked: Asked
    """As reward functions get it: text where the data has text, else messages."""

    turns: tuple[Message, ...]
    """As messages; none where it is a text to go on with."""

    columns: Mapping[str, Any]
    """The other columns of its row."""


@dataclass(frozen=True, slots=True)
class PromptLayout:
    """Where prompts are in the columns of `source`."""

    kind: Literal["prompt", "messages", "question"]
    column: str
    source: str
    context: str | None = None
    """Column of what an instruction is about; a row may leave it empty."""

    system: str | None = None
    """Column of what the assistant is told first; a row may leave it empty."""

    turns: bool = False
    """Whether a text is a turn of the user's."""

    def read(self, row: Row, line: int) -> Asked | None:
        """Return what is asked, none where nothing is. Raises `BadData` naming the line."""
        where = f"line {line} of {self.source}"
        cell = cells.decoded(row.get(self.column))
        if cells.is_empty(cell):
            return None
        if self.kind == "messages" or isinstance(cell, list):
            return self._conversation(cell, where)
        text = cells.string(cell, self.column, where)
        about = row.get(self.context) if self.context else None
        if cells.is_empty(about):
            return text
        return f"{text}\n\n{cells.string(about, str(self.context), where)}"

    def _conversation(self, cell: Any, where: str) -> tuple[Message, ...]:
        """Return the messages as far as the assistant's last turn."""
        said = cells.messages(cell, self.column, where)
        while said and said[-1]["role"] == "assistant":
            said = said[:-1]
        if not said or said[-1]["role"] not in {"user", "tool"}:
            raise BadData(f"nobody asks anything in {where}: no message of a user comes last.")
        return said

    def told_first(self, row: Row, where: str) -> tuple[Message, ...]:
        """Return what the assistant is told first, where a row says it."""
        cell = row.get(self.system) if self.system else None
        if cells.is_empty(cell):
            return ()
        return ({"role": "system", "content": cells.string(cell, str(self.system), where)},)


def layout_of(columns: Sequence[str], first: Row, params: LlmParams, source: str) -> PromptLayout:
    """Return where the prompts are. Raises `BadData` with the columns there are."""
    name = params.prompt_text_column
    system = next((one for one in rows.SYSTEM if one in columns), None)
    turns = params.chat_template is not None
    if name in columns:
        about = rows.context_of(name, columns, (name,))
        return PromptLayout("prompt", name, source, about, system if turns else None, turns)
    if name == LlmParams.model_fields["prompt_text_column"].default:
        chat = next((one for one in rows.CHAT_COLUMNS if one in columns), None)
        if chat:
            return PromptLayout("messages", chat, source, system=system)
        asked = [one for one in ("instruction", *rows.QUESTIONS) if one in columns]
        if asked:
            about = rows.context_of(asked[0], columns, (asked[0],))
            return PromptLayout("question", asked[0], source, about, system, turns=True)
    raise rows.no_column(name, "--prompt-column", columns, first, source)


@dataclass(slots=True)
class Prompts:
    """The usable prompts of a split, and what was noticed on the way."""

    layout: PromptLayout
    prompts: list[Prompt] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """The number of the row of each prompt."""

    empty: list[int] = field(default_factory=list)
    broken: Broken = field(default_factory=Broken)

    @property
    def chat(self) -> bool:
        """Whether a chat template writes them."""
        return any(prompt.turns for prompt in self.prompts)


def read(
    split: Split, params: LlmParams, speech: Speech, numbered: Iterable[tuple[int, Row]]
) -> Prompts:
    """Return the prompts in rows of `split`, and which rows are broken.

    Raises `BadData` where the column is not there, and `BadConfig` where there is no chat template.
    """
    first, numbered = with_fullest(numbered)
    found = Prompts(layout_of(split.columns, first, params, split.source))
    for line, row in numbered:
        try:
            asked = found.layout.read(row, line)
            if asked is None:
                found.empty.append(line)
                continue
            prompt = _prompt(asked, (line, row), found.layout, params, speech)
        except BadData as error:
            found.broken.add(line, error)
            continue
        found.prompts.append(prompt)
        found.lines.append(line)
    return found


def _prompt(
    asked: Asked,
    numbered: tuple[int, Row],
    layout: PromptLayout,
    params: LlmParams,
    speech: Speech,
) -> Prompt:
    line, row = numbered
    columns = {name: cell for name, cell in row.items() if name not in OWN}
    if isinstance(asked, str) and not layout.turns:
        return Prompt(Example(asked, (), ends=False), asked, (), columns)
    turns = ({"role": "user", "content": asked},) if isinstance(asked, str) else asked
    if turns[0]["role"] != "system":
        turns = (*layout.told_first(row, f"line {line} of {layout.source}"), *turns)
    if speech.template is None:
        raise BadConfig(
            f'"{layout.column}" of {layout.source} holds questions to an assistant, and the '
            f"tokenizer of {params.model} has no chat template.",
            fix=f"--chat-template chatml, or --prompt-column {layout.column} for plain text",
        )
    tools = cells.tools_in(row.get("tools"), f"line {line} of {layout.source}")
    try:
        text = speech.template.render(turns, tools, prompt=True)
    except Exception as error:  # a template is a stranger's program and may raise anything
        raise BadData(
            f"The chat template refuses line {line} of {layout.source}: "
            f"{str(error) or type(error).__name__}",
            fix="Change the row, or choose --chat-template chatml.",
        ) from error
    given = asked if isinstance(asked, str) else turns
    return Prompt(Example(text, (), finished=True), given, turns, columns)


def turn_end(speech: Speech) -> str | None:
    """Return the token that ends the assistant's turns; none where nothing does."""
    if speech.template is None:
        return None
    try:
        said = ({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})
        return speech.template.end_of(said)
    except Exception:  # it takes other chats than this one
        return None
