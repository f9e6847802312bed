"""Which classes texts are of: one each, or several. Light.

Both are kept as tuples of names, so that all that follows is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.families.labels import Labels, listed
from worker.families.text.examples import Examples, Target, TextCorpus, gathered
from worker.splits import Splits, hold_out_of_each, in_order, missing
from worker.tasks.text_classification.params import TextClassificationParams

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """The texts of a job and their classes."""

    corpus: TextCorpus[Names]
    several: bool
    """Whether a text may be of several classes, or of none."""

    names: Names
    """All classes, in the order in which a model numbers them."""

    def counts(self) -> dict[str, int]:
        """Return how many texts of the training split each class has, those held out among them."""
        counts = dict.fromkeys(self.names, 0)
        counts.update(Counter(name for names in self.corpus.train.targets for name in names))
        return counts


def classes(params: TextClassificationParams, splits: Splits) -> Classes:
    """Return the texts of all splits and their classes. Raises `BadData`."""
    known: list[Labels] = []
    several: list[bool] = []

    def reader(labels: Labels, cells: Sequence[Any]) -> Target[Names]:
        known.append(labels)
        several.append(_several(params, cells))
        return labels.classes_of if several[0] else _one(labels)

    def held_out(found: Examples[Names], share: float) -> frozenset[int]:
        return hold_out_of_each(rarest(found.targets), share, params.seed)

    corpus = gathered(params, splits, reader, held_out)
    found = {name for names in corpus.train.targets for name in names}
    return Classes(corpus, several[0], known[0].declared or in_order(found))


def rarest(targets: Sequence[Names]) -> list[str]:
    """Return the class of each text of which a share is held out; empty for a text of none.

    It is the rarest that has another text, so that each class is both learned and judged.
    """
    counts = Counter(name for names in targets for name in names)

    def rarity(name: str) -> tuple[bool, int, str]:
        return counts[name] == 1, counts[name], name

    return [min(names, key=rarity, default="") for names in targets]


def _several(params: TextClassificationParams, cells: Sequence[Any]) -> bool:
    """Whether cells hold several classes each: the first one that says something is a list.

    One that begins as a list and is none is taken for a broken list.
    """
    if params.problem_type is not None:
        return params.problem_type == "multi_label_classification"
    first = next((cell for cell in cells if not missing(cell)), None)
    first = listed(first) if isinstance(first, str) else first
    return isinstance(first, list | tuple) or (isinstance(first, str) and first.startswith("["))


def _one(labels: Labels) -> Target[Names]:
    def read(cell: Any, row: int) -> Names | None:
        name = labels.class_of(cell, row)
        return None if name is None else (name,)

    return read
