"""Text becomes token ids, and characters to learn become tokens to learn.

The tokenizer is a `tokenizers.Tokenizer`: preflight reads it from the model's `tokenizer.json`,
training takes the one inside transformers' tokenizer. Both go through `encode`.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

from worker.tasks.llm.chat import Spans


class Encoding(Protocol):
    """Tokens of one text, each with the characters it stands for."""

    @property
    def ids(self) -> list[int]: ...
    @property
    def offsets(self) -> list[tuple[int, int]]: ...


class Tokenizer(Protocol):
    """What is used of `tokenizers.Tokenizer`."""

    def encode_batch(
        self, input: list[str], is_pretokenized: bool = ..., add_special_tokens: bool = ...
    ) -> Sequence[Encoding]: ...
    def id_to_token(self, id: int) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Example:
    """A text and which of its characters are learned."""

    text: str
    learned: Spans | None = None
    """None learns all of it."""

    finished: bool = False
    """A template has written its special tokens; none are added."""

    ends: bool = True
    """Whether the end-of-sequence token follows."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One example in tokens; `learned` has one byte, 0 or 1, for each of `ids`."""

    ids: array[int]
    learned: bytes

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, start: int, end: int) -> Tokens:
        """Return the tokens from `start` up to `end`."""
        return Tokens(self.ids[start:end], self.learned[start:end])

    def then(self, more: Tokens) -> Tokens:
        """Return the tokens with more behind them."""
        return Tokens(self.ids + more.ids, self.learned + more.learned)


BATCH = 512
"""Texts handed to the tokenizer's threads at a time."""


def encode(examples: Sequence[Example], tokenizer: Tokenizer, eos: int | None) -> Iterator[Tokens]:
    """Yield the tokens of each example, in order. `eos` is the end-of-sequence token's id.

    The first token is never learned: nothing stands before it that could predict it.
    """
    for start in range(0, len(examples), BATCH):
        group = examples[start : start + BATCH]
        found: list[Encoding | None] = [None] * len(group)
        for finished in (False, True):
            at = [i for i, example in enumerate(group) if example.finished is finished]
            if at:
                texts = [group[i].text for i in at]
                encodings = tokenizer.encode_batch(texts, add_special_tokens=not finished)
                for i, encoding in zip(at, encodings, strict=True):
                    found[i] = encoding
        for example, one in zip(group, found, strict=True):
            assert one is not None
            yield _tokens(example, one, eos)


def spelled(
    example: Example, tokenizer: Tokenizer, eos: int | None
) -> Iterator[tuple[int, str, bool]]:
    """Yield the tokens of one example: id, the text it stands for, and whether it is learned.

    The texts together are the whole text.
    """
    (found,) = tokenizer.encode_batch([example.text], add_special_tokens=not example.finished)
    tokens, at = _tokens(example, found, eos), 0
    offsets = [*found.offsets, (0, 0)]
    for i, (token, learned) in enumerate(zip(tokens.ids, tokens.learned, strict=True)):
        # Tokens of parts of a letter all stand for the whole of it: the first has it.
        end = max(at, offsets[i][1])
        yield token, example.text[at:end], bool(learned)
        at = end


def _tokens(example: Example, encoding: Encoding, eos: int | None) -> Tokens:
    ids = array("i", encoding.ids)
    learned = _learned(encoding.offsets, example.learned)
    if eos is not None and not example.finished:
        # With no end wanted, only the tokenizer's own goes, which stands for no characters.
        if ids and ids[-1] == eos and (example.ends or encoding.offsets[-1] == (0, 0)):
            del ids[-1], learned[-1]
        if example.ends:
            ids.append(eos)
            learned.append(1)
    if learned:
        learned[0] = 0
    return Tokens(ids, bytes(learned))


def _learned(offsets: Sequence[tuple[int, int]], spans: Spans | None) -> bytearray:
    """Return which tokens share a character with a span; both come in order."""
    if spans is None:
        return bytearray(repeat(1, len(offsets)))
    learned = bytearray(len(offsets))
    rest = iter(spans)
    start, end = next(rest, (0, 0))
    for i, (first, last) in enumerate(offsets):
        # Where a tokenizer trims white space off, a token of nothing else is of no width behind it.
        begins = first - 1 if first == last and first else first
        while end <= begins and end:
            start, end = next(rest, (0, 0))
        learned[i] = begins < end and last > start
    return learned


def cut(tokens: Tokens, capacity: int, *, keep_all: bool) -> list[Tokens]:
    """Return the training pieces of an example, each at most `capacity` tokens.

    With `keep_all` the rest goes on in further pieces, otherwise it is dropped. A piece begins
    with the last token of the one before, from which its own first is learned. Pieces in which
    nothing is learned are left out.
    """
    if not keep_all or len(tokens) <= capacity:
        pieces = [tokens.cut(0, capacity)]
    else:
        pieces = [tokens.cut(i, i + capacity) for i in range(0, len(tokens) - 1, capacity - 1)]
    return [piece for piece in pieces if any(piece.learned[1:])]


def framed(tokens: Tokens, capacity: int, special: Collection[int]) -> list[Tokens]:
    """Return an example in pieces, each at most `capacity` tokens with the marks around it.

    Those are the `special` tokens that the example begins and ends with. Pieces of marks alone are
    left out.
    """
    plain = [i for i, token in enumerate(tokens.ids) if token not in special]
    if not plain:
        return []
    first, last = plain[0], plain[-1] + 1
    room = capacity - first - (len(tokens) - last)
    before, after = tokens.cut(0, first), tokens.cut(last, len(tokens))
    starts = range(first, last, room) if room > 0 else ()
    bodies = (tokens.cut(i, min(i + room, last)) for i in starts)
    return [before.then(body).then(after) for body in bodies]


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Return the ids of tokens that stand for no text, such as those that begin and end one."""
    added = tokenizer.get_added_tokens_decoder().items()
    return frozenset(number for number, token in added if token.special)


def token_id(tokenizer: Any, token: str | None) -> int | None:
    """Return the id of a special token; none if there is no such token."""
    found = tokenizer.token_to_id(token) if token else None
    return None if found is None else int(found)
