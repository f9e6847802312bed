"""Where the assistant's turns stand in a rendered chat.

A turn begins where the template stops when the model is to speak, and ends with the token that
ends it there. No marks are needed: most templates have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from worker.families.sandbox import FAULTS, Piece
from worker.tasks.llm.habits import (
    Messages,
    Tools,
    Writer,
    given_of,
    last_token,
    opening,
    shared,
    text_of,
    without_end,
)

Span = tuple[int, int]
"""Characters from and up to."""

Spans = tuple[Span, ...]


class Learned(NamedTuple):
    """A chat as text, and where in it the assistant speaks."""

    text: str
    spans: Spans
    lost: int = 0
    """Turns of the assistant that could not be found."""


def marked(template: Writer, chat: Messages, tools: Tools, given: int) -> Learned:
    """Return what the template's own marks say was said, from message `given` on.

    A token that ends the turn right behind a mark belongs to it: without it the model would
    never stop.
    """
    pieces = template.pieces(chat, tools)
    if pieces is None:
        return unmarked(template, chat, tools, given)
    text = _joined(pieces)
    border = _border(template, chat, tools, given, pieces) if given else 0
    said = _merged((start, end) for start, end, piece in _placed(pieces) if piece.said)
    spans = ((start, _ended(template, text, start, end)) for start, end in said if start >= border)
    return Learned(text, tuple(span for span in spans if span[0] < span[1]))


def _border(
    template: Writer, chat: Messages, tools: Tools, given: int, pieces: Sequence[Piece]
) -> int:
    """Return where message `given` begins."""
    for start, _, piece in _placed(pieces):
        if piece.message is not None and piece.message >= given:
            return start
    return len(shared([template.render(chat[:given], tools), _joined(pieces)]))


def unmarked(template: Writer, chat: Messages, tools: Tools, given: int) -> Learned:
    """Return what the assistant says from message `given` on, by who is written where.

    Where a template writes an answer differently once others follow, each is written as it was
    when it was the last: what the model then says, and what TRL trains on.
    """
    wanted = [i for i in range(given, len(chat)) if chat[i]["role"] == "assistant"]
    pieces = template.pieces(chat, tools)
    if not any(piece.message is not None and piece.text for piece in pieces or ()):
        text = template.render(chat, tools)
        found = {i: _by_prefix(template, chat, tools, i, text) for i in wanted}
    else:
        assert pieces is not None
        if template.habits.forgets:
            pieces = _remembered(template, chat, tools, pieces, wanted)
        text = _joined(pieces)
        found = {i: _by_place(template, chat, tools, i, pieces) for i in wanted}
    spans = [span for turn in found.values() for span in turn]
    if spans and wanted[-1] == len(chat) - 1 and found[wanted[-1]]:
        text, spans[-1] = _closed(template, chat, tools, text, spans[-1])
    said = tuple(span for span in spans if span[0] < span[1])
    return Learned(text, said, lost=sum(not turn for turn in found.values()))


def _by_place(
    template: Writer, chat: Messages, tools: Tools, i: int, pieces: Sequence[Piece]
) -> list[Span]:
    """Return where message `i` is written, without what the prompt gives of it."""
    runs = _merged(
        (start, end) for start, end, piece in _placed(pieces) if piece.message == i and piece.text
    )
    if not runs:
        return []
    text = _joined(pieces)
    start, end = runs[-1]
    if i + 1 < len(chat) and chat[i + 1]["role"] == "tool":
        end = start + _without_answers(template, chat, tools, i, text[start:end])
    runs[-1] = (start, _ended(template, text, start, end))
    start, end = runs[0]
    runs[0] = (start + _given(template, chat, tools, i, text[start:end]), end)
    return runs


def _without_answers(template: Writer, chat: Messages, tools: Tools, i: int, said: str) -> int:
    """Return how long a turn is without the tool's answers that some templates write into it."""
    alone = text_of(template.pieces(chat[: i + 1], tools) or (), i)
    begins_alike = said.startswith(without_end(alone, template.ends))
    return len(shared([alone, said])) if begins_alike else len(said)


def _remembered(
    template: Writer, chat: Messages, tools: Tools, pieces: list[Piece], turns: Sequence[int]
) -> list[Piece]:
    """Return the pieces of a chat with `turns` as they were when each was the last."""
    for i in turns:
        if i == len(chat) - 1:
            continue
        asked = any(message["role"] == "user" for message in chat[:i])
        before = [*chat[:i], *([] if asked else [{"role": "user", "content": "q"}])]
        try:
            alone = template.pieces([*before, chat[i]], tools) or ()
        except FAULTS:
            alone = ()
        alone = [replace(p, message=i) for p in alone if p.message == len(before)]
        places = [n for n, piece in enumerate(pieces) if piece.message == i and piece.text]
        at = places[0] if places else len(pieces)
        rest = [piece for piece in pieces[at:] if piece.message != i]
        kept = [replace(piece, message=None) for piece in pieces[at:] if piece.message == i]
        pieces = [*pieces[:at], *(alone or kept), *rest]
    return pieces


def _given(template: Writer, chat: Messages, tools: Tools, i: int, said: str) -> int:
    """Return how many characters of a turn the prompt gives."""
    usual = template.habits.opening
    if template.habits.begins_whole and said.startswith(usual):
        return len(usual)
    prompt = (opening(template, chat[:i], tools) if i else "") or usual
    given = given_of(prompt, said)
    first = all(message["role"] == "system" for message in chat[:i])
    if first and given < len(usual) and (at := said.find(usual)) >= 0:
        # A system message of the template's own may stand before it.
        return at + len(shared([prompt if prompt.startswith(usual) else usual, said[at:]]))
    return given


def _by_prefix(template: Writer, chat: Messages, tools: Tools, i: int, text: str) -> list[Span]:
    """Return the turn of a template that does not go through its messages in a loop.

    It is what rendering it adds to rendering the chat up to it; it is not found when the template
    writes earlier turns differently once later ones follow.
    """
    if not i:
        return []
    try:
        before = template.render(chat[:i], tools)
        prompted = template.render(chat[:i], tools, prompt=True)
        through = text if i == len(chat) - 1 else template.render(chat[: i + 1], tools)
    except FAULTS:
        return []
    # Some prompts begin a thought that answers without one do not have.
    begun = shared([prompted, through])
    strays = begun != prompted and not begun.startswith(before)
    if strays or not text.startswith(through):
        return []
    return [(len(begun), _ended(template, text, len(begun), len(through)))]


def _ended(template: Writer, text: str, start: int, end: int) -> int:
    """Return where a turn ends: with its own last token, or with one that follows at once."""
    said = text[start:end]
    if template.habits.closes and last_token(said, template.ends):
        return start + len(said.rstrip())
    return _past_token(template, text, end) or end


def _past_token(template: Writer, text: str, at: int) -> int | None:
    begins = at + len(text[at:]) - len(text[at:].lstrip())
    follows = [token for token in template.ends if text.startswith(token, begins)]
    return begins + len(max(follows, key=len)) if follows else None


def _closed(
    template: Writer, chat: Messages, tools: Tools, text: str, span: Span
) -> tuple[str, Span]:
    """Return text and last turn with what ends it once another turn follows.

    Where the template writes no end then either, it is the token that the next turn begins with:
    what the model has to say to end its own.
    """
    start, end = span
    ended = template.habits.closes and last_token(text[:end], template.ends)
    if ended or text[end:].strip():
        return text, span
    follows = {"role": "tool" if chat[-1].get("tool_calls") else "user", "content": "q"}
    try:
        longer = template.pieces([*chat, follows], tools) or ()
    except FAULTS:
        return text, span
    behind = _joined(longer).removeprefix(text[:end])
    mark = ""
    for written in (behind, text_of(longer, len(chat))):
        mark = mark or written[: _past_token(template, written, 0) or 0]
    return text[:end] + mark, (start, end + len(mark))


def _placed(pieces: Sequence[Piece]) -> Iterator[tuple[int, int, Piece]]:
    at = 0
    for piece in pieces:
        yield at, at + len(piece.text), piece
        at += len(piece.text)


def _merged(spans: Iterator[Span]) -> list[Span]:
    """Return spans with those made one that touch."""
    found: list[Span] = []
    for start, end in spans:
        touches = found and found[-1][1] == start
        found.append((found.pop()[0] if touches else start, end))
    return found


def _joined(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)
