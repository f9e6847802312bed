"""Training rows as a stream: files are fetched and read one after another, never all at once.

Texts are laid end to end and cut into rows of the same length; those that share a row do not see
one another. A pass over the data is the same each time but for the order, which is shuffled in a
window.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from torch.utils.data import IterableDataset

from worker.tasks.llm.tokens import BATCH, Example, Tokens, encode

WINDOW = 1000
"""Rows among which the next is drawn."""

LEAST = 2
"""Tokens of a piece: from the first alone nothing can be learned."""


@dataclass(frozen=True, slots=True)
class Passes:
    """The rows of the data, pass after pass."""

    texts: Callable[[], Iterable[str]]
    """Reads the data from its start."""

    tokenizer: Any
    """A `tokenizers.Tokenizer`."""

    eos: int | None
    length: int
    """Tokens of a row."""

    most_tokens: int | None = None
    """Tokens of the data that are used; none uses all."""

    seed: int | None = None
    """None leaves the rows in order."""

    def once(self) -> Iterator[list[Tokens]]:
        """Yield the rows of one pass, in order."""
        row: list[Tokens] = []
        room = self.length
        for tokens in self._limited():
            for piece in _laid(tokens, room, self.length):
                row.append(piece)
                room -= len(piece)
                if room < LEAST:
                    yield row
                    row, room = [], self.length
        if row:
            yield row

    def all(self) -> Iterator[list[Tokens]]:
        """Yield the rows of pass after pass, for ever, as long as a pass has any."""
        for number in count():
            rows, empty = self.once(), True
            if self.seed is not None:
                rows = _shuffled(rows, random.Random(f"{self.seed}-{number}"))
            for row in rows:
                empty = False
                yield row
            if empty:
                return

    def _limited(self) -> Iterator[Tokens]:
        left = self.most_tokens
        for tokens in self._encoded():
            yield tokens if left is None else tokens.cut(0, left)
            if left is not None:
                left -= len(tokens)
                if left < LEAST:
                    return

    def _encoded(self) -> Iterator[Tokens]:
        texts = iter(self.texts())
        while group := [Example(text) for text in islice(texts, BATCH)]:
            yield from encode(group, self.tokenizer, self.eos)


def _laid(tokens: Tokens, room: int, length: int) -> Iterator[Tokens]:
    """Yield a text in pieces that fill the room left and then whole rows.

    A piece begins with the last token of the one before, from which its own first is learned.
    """
    start = 0
    while len(tokens) - start >= LEAST:
        piece = tokens.cut(start, start + room)
        yield piece
        start += len(piece) if start + len(piece) == len(tokens) else len(piece) - 1
        left = room - len(piece)
        room = left if left >= LEAST else length


def _shuffled(rows: Iterator[list[Tokens]], chance: random.Random) -> Iterator[list[Tokens]]:
    window = list(islice(rows, WINDOW))
    for row in rows:
        place = chance.randrange(len(window))
        yield window[place]
        window[place] = row
    chance.shuffle(window)
    yield from window


class Stream(IterableDataset[list[Tokens]]):
    """The first so many rows of all passes."""

    def __init__(self, passes: Passes, rows: int) -> None:
        self.passes, self.rows = passes, rows

    def __iter__(self) -> Iterator[list[Tokens]]:
        return islice(self.passes.all(), self.rows)
