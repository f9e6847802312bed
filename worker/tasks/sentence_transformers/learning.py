"""What each trainer learns from, and what tells most of a model that it made. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Learning:
    """What a trainer learns from."""

    rows: str
    """What its rows are called, plural."""

    telling: str
    """The measure that tells most; the more the better."""

    target: Literal["score", "class"] | None = None
    """What is told of a pair; none where sentences are told from the others of a batch."""

    contrasts: bool = False
    """Whether a third sentence is there that does not belong to the first."""

    @property
    def sentences(self) -> int:
        """How many a row has."""
        return 3 if self.contrasts else 2

    @property
    def ranks(self) -> bool:
        """Whether a sentence is told from the others of its batch."""
        return self.target is None


LEARNING: Mapping[str, Learning] = {
    "pair": Learning("pairs of sentences", "mrr@10"),
    "pair_class": Learning("pairs with a class", "accuracy", "class"),
    "pair_score": Learning("pairs with a score", "spearman_cosine", "score"),
    "triplet": Learning("triplets", "cosine_accuracy", contrasts=True),
    "qa": Learning("questions with an answer", "mrr@10"),
}
"""By the trainers' names."""
