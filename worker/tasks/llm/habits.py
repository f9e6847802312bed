"""How a chat template writes answers, found out by letting it write a short chat.

What the assistant's turns begin with and end with is nowhere said in a template. It shows when
one chat is written as far as its first answer, and further.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, Protocol

from worker.families.sandbox import FAULTS, Message, Piece

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

    begins_whole: bool = False
    """Whether an answer begins with all that the prompt gives. Some prompts open a thought that
    answers without one do not have."""

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
            return _by_place(template, chat) or _by_prefix(template, chat)
        except FAULTS:
            continue
    return Habits()


def _by_place(template: Writer, chat: Messages) -> Habits | None:
    alone, later = template.pieces(chat[:2]) or (), template.pieces(chat) or ()
    given, ends = opening(template, chat[:1]), template.ends
    answer, remembered = text_of(alone, 1), text_of(later, 1)
    if not answer:
        return None
    return Habits(
        opening=answer[: given_of(given, answer)],
        begins_whole=answer.startswith(given) and bool(given),
        closes=last_token(answer, ends) is not None or last_token(remembered, ends) is not None,
        forgets=without_end(answer, ends) != without_end(remembered, ends),
    )


def _by_prefix(template: Writer, chat: Messages) -> Habits:
    """Return the habits of a template that does not go through its messages in a loop."""
    prompt, through = template.render(chat[:1], prompt=True), template.render(chat[:2])
    answer = through[len(shared([prompt, through])) :]
    return Habits(closes=last_token(answer, template.ends) is not None)


def _as_part(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def opening(template: Writer, before: Messages, tools: Tools = ()) -> str:
    """Return what a prompt has after its last message; "" where that cannot be told."""
    pieces = template.pieces(before, tools, prompt=True) or []
    behind = [i for i, piece in enumerate(pieces, 1) if piece.message is not None]
    return "".join(piece.text for piece in pieces[behind[-1] :]) if behind else ""


def given_of(prompt: str, answer: str) -> int:
    """Return how many characters of an answer the prompt gives.

    Some prompts begin a thought that the answer does not have, some end the turn before first.
    """
    most = min(len(prompt), len(answer))
    overlap = next((n for n in range(most, 0, -1) if prompt.endswith(answer[:n])), 0)
    return max(overlap, len(shared([prompt, answer])))


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
