"""What a language model learns from a table of examples; the same for preflight and training.

`read` turns rows into examples, `tokens.encode` into tokens, `packing` into training rows; `report`
tells what came of it. Needs jinja2 and a `tokenizers.Tokenizer`, and knows neither torch nor where
the rows come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from worker.errors import BadConfig, BadData
from worker.families.templates import own_template, special_tokens
from worker.splits import Row, Split, Splits, hold_out, parted
from worker.tasks.llm import trainers
from worker.tasks.llm.broken import Broken
from worker.tasks.llm.chat import Template, named
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.rows import Answer, Chat, Layout, Said, Text
from worker.tasks.llm.tokens import Example, token_id

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
"""Roles any template may be given; others must stand in its source."""


TELLING = 50
"""Conversations that are asked how the assistant's turns end."""

TURN_END = "<|im_end|>"
"""What chatml ends a turn with, where the tokenizer has it as one token."""


@dataclass(frozen=True, slots=True)
class Speech:
    """How this tokenizer's model is spoken to."""

    template: Template | None
    eos: str | None
    """End-of-sequence token, as text."""


@dataclass(slots=True)
class Examples:
    """The usable examples of a split, and what was noticed on the way."""

    layout: Layout
    examples: list[Example] = field(default_factory=list)
    read: int = 0
    lines: list[int] = field(default_factory=list)
    """The number of the row of each example."""

    empty: list[int] = field(default_factory=list)
    """Numbers of the rows left out because they say nothing."""

    broken: Broken = field(default_factory=Broken)
    """Rows that cannot be read."""

    duplicates: int = 0
    lost_turns: int = 0
    """Assistant turns that cannot be found in the template's text, and are not learned."""

    silent: int = 0
    """Conversations without an assistant turn."""

    ends: Counter[str | None] = field(default_factory=Counter)
    """What ends the assistant's last turn in the first conversations; none where nothing does."""

    written: dict[str, bool] = field(default_factory=dict)
    """What conversations hold beside what is said, to whether the template writes it."""

    @property
    def turn_end(self) -> str | None:
        """The special token that ends what the assistant says."""
        return max(self.ends, key=lambda end: self.ends[end], default=None)


def speech(
    params: LlmParams, tokenizer_config: Mapping[str, Any], beside: str | None, tokenizer: Any
) -> Speech:
    """Return the template and tokens to speak with; `beside` is `chat_template.jinja`.

    `tokenizer` is a `tokenizers.Tokenizer`, or none where there is no `tokenizer.json`.
    """
    tokens = special_tokens(tokenizer_config)
    eos = tokens.get("eos_token")
    if params.chat_template in {"chatml", "zephyr"}:
        source: str | None = named(str(params.chat_template))
    else:
        source = own_template(tokenizer_config, beside)
    if source is None:
        return Speech(None, eos)
    if params.chat_template == "chatml" and eos and _cannot_spell(tokenizer, TURN_END):
        # The model would have to spell the mark letter by letter, and nothing would stop it there.
        source = source.replace(f"'{TURN_END}'", "eos_token")
    return Speech(Template(source, tokens, _turn_ends(tokenizer, tokens)), eos)


def _cannot_spell(tokenizer: Any, token: str) -> bool:
    return tokenizer is not None and tokenizer.token_to_id(token) is None


def _turn_ends(tokenizer: Any, tokens: Mapping[str, str]) -> frozenset[str]:
    """Return the tokens that may end a turn: special ones, and those spelled like them.

    A tag such as `</tool_call>` is a token of many models too, but the turn goes on behind it.
    """
    added = tokenizer.get_added_tokens_decoder().values() if tokenizer is not None else ()
    special = {token.content for token in added if token.special or "|>" in token.content}
    eos, begins = tokens.get("eos_token"), tokens.get("bos_token")
    return frozenset(filter(None, special - {begins} | {eos, TURN_END}))


def text_end(params: LlmParams, how: Speech, tokenizer: Any) -> int | None:
    """Return the id of the token that follows texts, to be learned; none where they just end."""
    return token_id(tokenizer, how.eos) if trainers.of(params).ends_texts else None


def read(
    split: Split, params: LlmParams, speech: Speech, rows: Iterable[tuple[int, Row]]
) -> Examples:
    """Return the examples in `rows` of `split`, and what is wrong with those that are none.

    Raises `BadData` for columns that are not there, `BadConfig` for a template that is needed.
    """
    first, numbered = with_fullest(rows)
    layout: Layout = trainers.of(params).layout(split.columns, first, params, split.source)
    found = Examples(layout)
    seen: set[int] = set()
    for line, row in numbered:
        found.read += 1
        try:
            said = layout.read(row, line)
            example = example_of(said, line, found, params, speech) if said else None
        except BadData as error:
            found.broken.add(line, error)
            continue
        if example is None:
            found.empty.append(line)
            continue
        key = hash(example.text)
        found.duplicates += key in seen
        seen.add(key)
        found.examples.append(example)
        found.lines.append(line)
    return found


def _no_template(layout: Layout, params: LlmParams) -> BadConfig:
    return BadConfig(
        f'"{layout.columns[0]}" of {layout.source} holds {layout.what}, and the tokenizer of '
        f"{params.model} has no chat template.",
        fix="--chat-template chatml",
    )


def with_fullest(rows: Iterable[tuple[int, Row]]) -> tuple[Row, Iterable[tuple[int, Row]]]:
    """Return the row that says the most of the first hundred, and all rows."""
    numbered = iter(rows)
    head = list(islice(numbered, 100))
    first = (row for _, row in head)
    fullest: Row = max(first, key=lambda row: sum(1 for cell in row.values() if cell), default={})
    return fullest, chain(head, numbered)


def example_of(
    said: Said, line: int, found: Examples, params: LlmParams, speech: Speech
) -> Example:
    """Return what is learned of what row `line` says, and count in `found` what is odd about it.

    Raises `BadData` and `BadConfig`.
    """
    only_answers = trainers.of(params).only_answers(params)
    match said:
        case Text(text):
            return Example(text, ends=params.add_eos_token)
        case Answer(prompt, completion):
            text = prompt + completion
            learned = ((len(prompt), len(text)),) if only_answers else None
            return Example(text, learned)
        case Chat():
            if speech.template is None:
                raise _no_template(found.layout, params)
            return _chat(said, line, found, speech.template, only_answers)


def _chat(
    chat: Chat, line: int, found: Examples, template: Template, only_answers: bool
) -> Example:
    _check_roles(chat, line, template, found.layout.source)
    found.silent += not any(message["role"] == "assistant" for message in chat.messages)
    try:
        if found.ends.total() < TELLING:
            found.ends[template.end_of(chat.messages, chat.tools)] += 1
        template.tell_written(chat.messages, chat.tools, found.written)
        if not only_answers:
            return Example(template.render(chat.messages, chat.tools), finished=True)
        text, spans, lost = template.learned(chat.messages, chat.tools, given=chat.given)
    except Exception as error:  # a template is a stranger's program and may raise anything
        roles = ", ".join(str(message["role"]) for message in chat.messages)
        raise BadData(
            f"The chat template refuses line {line} of {found.layout.source} "
            f"(roles {roles}): {str(error) or type(error).__name__}",
            fix="Change the row, or choose --chat-template chatml.",
        ) from error
    found.lost_turns += lost
    return Example(text, spans, finished=True)


def _check_roles(chat: Chat, line: int, template: Template, source: str) -> None:
    for message in chat.messages:
        role = message["role"]
        if role not in ROLES and f"'{role}'" not in template.source.replace('"', "'"):
            raise BadData(
                f'The chat template does not know the role "{role}" in line {line} of {source}; '
                f"it knows {', '.join(sorted(ROLES))}.",
                fix="Rename the role, or take the row out.",
            )


def training_split(
    splits: Splits, params: LlmParams
) -> tuple[list[tuple[int, Row]], list[tuple[int, Row]]]:
    """Return the rows to train on and to validate on, both with their numbers.

    A split called `valid` outranks a share to hold out. Rows are taken in order, the first
    `max_samples` of them.
    """
    rows = list(splits["train"].first(params.max_samples))
    if "valid" in splits:
        return rows, list(splits["valid"].rows)
    if params.valid_share is None:
        return rows, []
    return parted(rows, hold_out(len(rows), params.valid_share, params.seed))
