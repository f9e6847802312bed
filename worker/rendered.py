"""One example as the model gets it, for people to look at: what is learned of it is marked.

A task makes it of text and flags; the surfaces show it. It is short however long the example is,
and its text is still a stranger's: a surface makes it harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

LONGEST_PART = 360
"""Characters of a part that are shown; of a longer one its beginning and its end."""

MOST_PARTS = 24
"""Parts that are shown, the first and the last of them."""

MOST_LINES = 8
"""Lines of a part that are shown."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of an example's text."""

    text: str
    learned: bool = False
    """Whether the model is trained to say it; otherwise it is given."""

    special: bool = False
    """Whether it is a token of the tokenizer's that stands for no text: `<|im_end|>`."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One example."""

    where: str
    """`line 3 of chats.jsonl`."""

    parts: tuple[Part, ...]
    note: str = ""
    """What else there is to say of it."""


def rendered(where: str, parts: Iterable[Part], note: str = "") -> Rendered:
    """Return an example of any length in parts that are few and short."""
    joined = tuple(_joined(parts))
    if len(joined) > MOST_PARTS:
        left = len(joined) - MOST_PARTS + 1
        head, tail = MOST_PARTS * 2 // 3, MOST_PARTS // 3 - 1
        joined = (*joined[:head], Part(f" … {left:,} parts … "), *joined[-tail:])
    return Rendered(where, tuple(replace(p, text=_shortened(p.text)) for p in joined), note)


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield parts with those made one that follow one another and are of one kind."""
    for (learned, special), group in groupby(parts, key=lambda p: (p.learned, p.special)):
        if text := "".join(part.text for part in group):
            yield Part(text, learned, special)


def _shortened(text: str) -> str:
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES + 1
        kept = [*lines[: MOST_LINES // 2], f"… {left:,} lines …", *lines[1 - MOST_LINES // 2 :]]
        text = "\n".join(map(_short_line, kept))
    return _short_line(text)


def _short_line(text: str) -> str:
    left = len(text) - LONGEST_PART
    if left <= 0:
        return text
    head = LONGEST_PART * 2 // 3
    return f"{text[:head]} … {left:,} characters … {text[head + left :]}"
