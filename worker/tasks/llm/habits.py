"""How a chat template writes answers, found out by letting it write a short chat.

What the assistant's turns begin with and end with is nowhere said in a template. It shows when
one chat is written as far as its first answer, and further.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, Protocol

from worker.tasks.llm.sandbox import FAULTS, Message, Piece

Messages = Sequence[Message]
Tools = Sequence[Mapping[str, Any]]
"""Functions a model may call, described as JSON schemas."""


class Writer(Protocol):
    """What is asked of a template."""

    @property
    def ends(self) -> frozenset[str]: ...
    @property
    def habits(self) -> Habits: ...
    def render(self, chat: Messages, tools: Tools = ..., *, prompt: bool = ...) -> str: ...
    def pieces(
        self, chat: Messages, tools: Tools = ..., *, prompt: bool = ...
    ) -> list[Piece] | None: ...


@dataclass(frozen=True, slots=True)
class Habits:
    """What a template does with every answer."""

    opening: str = ""
    """What the prompt gives of an answer, such as `<|im_start|>assistant` and a newline."""

    closes: bool = True
    """Whether a token of its own ends an answer. GLM's answers end where the next turn begins."""

    forgets: bool = False
    """Whether an answer is written differently once another follows, its end aside.

    Qwen3's loses the thought it began with, even an empty one.
    """


def habits_of(template: Writer) -> Habits:
    """Return what a template does with a chat of two questions and answers."""
    for content in (str, _as_part):
        said = (("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b"))
        chat = [{"role": role, "content": content(text)} for role, text in said]
        try:
            alone, later = template.pieces(chat[:2]), template.pieces(chat)
            given = opening(template, chat[:1])
        except FAULTS:
            continue
        if alone is None or later is None:
            break
        answer, ends = text_of(alone, 1), template.ends
        return Habits(
            opening=shared([given, answer]),
            closes=last_token(answer, ends) is not None,
            forgets=without_end(answer, ends) != without_end(text_of(later, 1), ends),
        )
    return Habits()


def _as_part(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def opening(template: Writer, before: Messages, tools: Tools = ()) -> str:
    """Return what a prompt has after its last message; "" where that cannot be told."""
    pieces = template.pieces(before, tools, prompt=True) or []
    behind = [i for i, piece in enumerate(pieces, 1) if piece.message is not None]
    return "".join(piece.text for piece in pieces[behind[-1] :]) if behind else ""


def text_of(pieces: Iterable[Piece], message: int) -> str:
    """Return the text of one message."""
    return "".join(piece.text for piece in pieces if piece.message == message)


def last_token(text: str, ends: Iterable[str]) -> str | None:
    """Return which of `ends` a text ends with, white space aside."""
    bare = text.rstrip()
    return max((end for end in ends if bare.endswith(end)), key=len, default=None)


def shared(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    return commonprefix(list(texts))  # noqa: RUF071 (of texts, not paths)


def without_end(text: str, ends: Iterable[str]) -> str:
    """Return a text without the one of `ends` it ends with."""
    return text.rstrip().removesuffix(last_token(text, ends) or "").rstrip()
