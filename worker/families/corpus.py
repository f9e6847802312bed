"""The examples of a job: what rows hold, and which are learned from and which judge. Light.

Both the check and the training read rows so. A task says how a split is read; what is wrong with
rows is gathered on the way, so that the check can say all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from worker.errors import BadData
from worker.splits import Row, Split, Splits, hold_out, parted

E = TypeVar("E")


class Divided(Protocol):
    """Settings of how rows are divided: `worker.common.Data`, with a seed beside."""

    @property
    def max_samples(self) -> int | None: ...

    @property
    def seed(self) -> int: ...

    @property
    def valid_share(self) -> float | None: ...

    def taken(self, total: int) -> int: ...


F = TypeVar("F", bound="Found[Any]")
D = TypeVar("D", bound="Diagnosed[Any]")


@dataclass(frozen=True, slots=True)
class FromRow:
    """What was read from a row."""

    row: int
    """Where a person finds it: its line, or its place from 1."""


@dataclass(slots=True)
class Found(Generic[E]):
    """The examples of a split; a task adds the numbers of the rows that are none, by the reason."""

    source: str
    read: int = 0
    """Rows that were read."""

    examples: list[E] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    """Numbers of the rows that say too little to learn from."""


@dataclass(slots=True)
class Diagnosed(Found[E]):
    """The examples of a split, and what is wrong with each row that cannot be read."""

    broken: dict[int, BadData] = field(default_factory=dict)
    """By the row's number."""


@dataclass(frozen=True, slots=True)
class Corpus(Generic[F, E]):
    """The examples of a job: those of each split, and which are learned from and which judge."""

    train: F
    valid: F | None
    learned: list[E]
    held: list[E]
    """Those that judge."""

    total: int
    """Rows to train on, of which only the first may have been read."""

    @property
    def scale(self) -> float:
        """How many times as many training rows there are as were read."""
        return max(1.0, self.total / self.train.read) if self.train.read else 1.0

    @property
    def rows(self) -> int:
        """How many examples there are to learn from; an estimate where not all rows were read."""
        return round(len(self.learned) * self.scale)

    @property
    def valid_rows(self) -> int:
        """How many examples judge; a split of its own was read whole."""
        return round(len(self.held) * (1 if self.valid else self.scale))

    def about(self, count: int) -> str:
        """Return how many there would be in all training rows of what was read `count` times."""
        return f"{'' if self.scale == 1 else 'about '}{round(count * self.scale):,}"

    @property
    def splits(self) -> list[F]:
        """The splits that there are, the training split first."""
        return [self.train] if self.valid is None else [self.train, self.valid]


def divided(
    splits: Splits,
    params: Divided,
    read: Callable[[Split, Iterable[tuple[int, Row]]], F],
    held_out: Callable[[F, float], frozenset[int]] | None = None,
) -> Corpus[F, E]:
    """Return the examples of all splits. Raises `BadData` for columns that are not there.

    `read` returns what it finds in some rows of a split. A split called `valid` outranks a share to
    hold out. `held_out` returns which examples of the training split are kept back for a share, by
    place; without it they are drawn at random.
    """
    train = read(splits["train"], splits["train"].first(params.max_samples))
    total = params.taken(splits["train"].total)
    if "valid" in splits:
        valid = read(splits["valid"], splits["valid"].rows)
        return Corpus(train, valid, train.examples, valid.examples, total)
    if (share := params.valid_share) is None:
        return Corpus(train, None, train.examples, [], total)
    if held_out:
        places = held_out(train, share)
    else:
        places = hold_out(len(train.examples), share, params.seed)
    return Corpus(train, None, *parted(train.examples, places), total)


def learnable(corpus: Corpus[D, E], has: str) -> Corpus[D, E]:
    """Return a corpus that can be learned from; a row of it `has` something: `a text and a class`.

    Raises `BadData` for the first row that is broken, and where there is nothing to learn.
    """
    for found in corpus.splits:
        for error in found.broken.values():
            raise error
    if not corpus.learned:
        raise BadData(f"no row of {corpus.train.source} has {has}.")
    return corpus
