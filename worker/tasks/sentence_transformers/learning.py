"""What the rows of each trainer hold, and which measure says most of its models. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Learning:
    """What a trainer learns from."""

    rows: str
    """What its rows are called, plural."""

    measure: str
    """The measure that the best model is chosen by; the higher the better."""

    target: Literal["score", "class"] | None = None
    """What a pair is labelled with; none where its sentences are only known to belong together."""

    has_negative: bool = False
    """Whether a row has a third sentence, one that does not belong to the first."""

    @property
    def sentences(self) -> int:
        """How many sentences a row has."""
        return 3 if self.has_negative else 2

    @property
    def batch_negatives(self) -> bool:
        """Whether the other rows of a batch serve as sentences that do not belong to the first."""
        return self.target is None


LEARNING: Mapping[str, Learning] = {
    "pair": Learning("pairs of sentences", "mrr@10"),
    "pair_class": Learning("pairs with a class", "accuracy", "class"),
    "pair_score": Learning("pairs with a score", "spearman_cosine", "score"),
    "triplet": Learning("triplets", "cosine_accuracy", has_negative=True),
    "qa": Learning("questions with an answer", "mrr@10"),
}
"""By the trainers' names."""
