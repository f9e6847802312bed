"""The pictures of a job, as its task reads them. Light: no PIL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from worker.families.corpus import Corpus, Divided, divided
from worker.families.pictures.examples import Example, Examples, nothing
from worker.splits import Row, Split, Splits

D = TypeVar("D", bound=Examples[Any, Any])
P = TypeVar("P", bound=Divided)

PictureCorpus: TypeAlias = Corpus[D, Example[Any, Any]]

Read = Callable[[Split, Iterable[tuple[int, Row]], P, Callable[[bytes], Any]], D]
"""What a task makes of rows: given a split, rows of it, settings, and what keeps an image."""


def gathered(
    splits: Splits,
    params: P,
    read: Read[P, D],
    keep: Callable[[bytes], Any] = nothing,
    held_out: Callable[[D, float], frozenset[int]] | None = None,
) -> PictureCorpus[D]:
    """Return the examples of all splits; `keep` is called with the bytes of each image.

    `held_out` is that of `divided`. Raises `BadData`, naming column or row.
    """

    def found(split: Split, rows: Iterable[tuple[int, Row]]) -> D:
        return read(split, rows, params, keep)

    return divided(splits, params, found, held_out)
