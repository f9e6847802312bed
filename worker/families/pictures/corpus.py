"""The pictures of a job: those of each split, and which are learned from and which judge. Light."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from worker.families.pictures.examples import Example, Examples, nothing
from worker.splits import Row, Split, Splits, parted


class Divided(Protocol):
    """Settings of how rows are divided: `worker.common.Data`, with a seed beside."""

    @property
    def max_samples(self) -> int | None: ...

    @property
    def seed(self) -> int: ...

    @property
    def valid_share(self) -> float | None: ...

    def taken(self, total: int) -> int: ...


D = TypeVar("D", bound=Examples[Any, Any])
P = TypeVar("P", bound=Divided)

Read = Callable[[Split, Iterable[tuple[int, Row]], P, Callable[[bytes], Any]], D]
"""What a task makes of rows: given a split, rows of it, settings, and what keeps an image."""


@dataclass(frozen=True, slots=True)
class Corpus(Generic[D]):
    """The examples of a job."""

    train: D
    valid: D | None
    learned: list[Example[Any, Any]]
    held: list[Example[Any, Any]]
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
        """How many examples judge; an estimate where they are a share of rows not all read."""
        return round(len(self.held) * (1 if self.valid else self.scale))

    def about(self, count: int) -> str:
        """Return how many there would be in all training rows of what was read `count` times."""
        return f"{'' if self.scale == 1 else 'about '}{round(count * self.scale):,}"


def gathered(
    splits: Splits, params: P, read: Read[P, D], keep: Callable[[bytes], Any] = nothing
) -> Corpus[D]:
    """Return the examples of all splits; `keep` is called with the bytes of each image.

    A split called `valid` outranks a share to hold out. Raises `BadData`, naming column or row.
    """
    split = splits["train"]
    train = read(split, split.first(params.max_samples), params, keep)
    total = params.taken(split.total)
    if "valid" in splits:
        valid = read(splits["valid"], splits["valid"].rows, params, keep)
        return Corpus(train, valid, train.examples, valid.examples, total)
    share = params.valid_share
    held = train.hold_out(share, params.seed) if share else frozenset[int]()
    return Corpus(train, None, *parted(train.examples, held), total)
