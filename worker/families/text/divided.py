"""Which rows are learned from and which judge, and how bad it is that some are neither. Light."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from worker.common import Data
from worker.finding import Finding
from worker.splits import hold_out, parted

T = TypeVar("T")

MOST_UNUSABLE = 0.1
"""Share of rows that may be left out because something is wrong with them; beyond it the columns
are not what they should be."""


def divided(
    train: Sequence[T], valid: Sequence[T] | None, params: Data, seed: int
) -> tuple[list[T], list[T]]:
    """Return what is learned from and what judges, drawn at random where a share is held out.

    A split called `valid` outranks that.
    """
    if valid is not None:
        return list(train), list(valid)
    if params.valid_share is None:
        return list(train), []
    return parted(train, hold_out(len(train), params.valid_share, seed))


def not_validated(params: Data) -> Iterable[Finding]:
    """Say that nothing is held out."""
    if params.valid_share is None:
        text = "nothing is held out: nobody will know how often the model is right"
        yield Finding("warn", "data", text, fix="--valid-split 0.2")


def unusable(count: int, read: int) -> tuple[str, str]:
    """Return how bad it is that of so many rows that were `read` some are broken, and what is said
    of them: an error, or that they are left out."""
    return ("error", "") if count > MOST_UNUSABLE * read else ("warn", ": left out")
