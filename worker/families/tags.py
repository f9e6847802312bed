"""Tags of words: which of them begin, continue or end an entity, and where entities are. Light.

The schemes are those of the field: IOB1 (B- only between two entities of one type; Ramshaw and
Marcus 1995), IOB2 (each entity begins with B-), BIOES and its twin BILOU (Ratinov and Roth 2009),
and plain tags, as of parts of speech, where each run of one tag is an entity. `O` is
outside of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OUTSIDE = "O"

_MARKS = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I"}
"""How a tag with a prefix begins, to its mark in BIOES; BILOU and BMES have own letters."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Neighbouring words that belong together."""

    kind: str
    first: int
    """Place of its first word, from 0."""

    last: int


def split(tag: str) -> tuple[str, str]:
    """Return the mark of a tag, one of B, I, E, S, and its kind.

    The mark is empty outside of entities, which have no kind, and of plain tags.
    """
    if tag == OUTSIDE:
        return "", ""
    mark, dash, kind = tag.partition("-")
    if dash and mark in _MARKS:
        return _MARKS[mark], kind
    return (tag, "_") if tag in {"B", "I", "E", "S"} else ("", tag)


def entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a sentence, read leniently, as the script conlleval reads them.

    An I- that follows nothing of its kind begins an entity.
    """
    found: list[Entity] = []
    mark, kind, first = "", "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        next_mark, next_kind = split(tag)
        if kind and _ends(mark, kind, next_mark, next_kind):
            found.append(Entity(kind, first, place - 1))
            kind = ""
        if next_kind and not kind:
            first = place
        mark, kind = next_mark, next_kind
    return found


def _ends(mark: str, kind: str, next_mark: str, next_kind: str) -> bool:
    """Whether no entity goes on from a word to the next."""
    return kind != next_kind or mark in {"E", "S"} or next_mark in {"B", "S"}


def begins_inside(tags: Sequence[str]) -> bool:
    """Whether an entity of a sentence begins with a tag that says that one goes on: I- or E-."""
    return any(split(tags[entity.first])[0] in {"I", "E"} for entity in entities(tags))


def begins_apart(tags: Sequence[str]) -> bool:
    """Whether a B- begins an entity although none of its kind is before it, as IOB1 never does."""
    before = ["", *(split(tag)[1] for tag in tags)]
    marked = (split(tag) for tag in tags)
    return any(m == "B" and kind != was for (m, kind), was in zip(marked, before, strict=False))


def continued(tag: str) -> str:
    """Return the tag of the rest of a word, where the model reads a word in several pieces."""
    mark, _, kind = tag.partition("-")
    return f"I-{kind}" if mark == "B" and kind else tag
