"""Which number each text has. Light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.families.labels import Labels
from worker.families.text.examples import Corpus, Target, gathered
from worker.splits import Splits, hold_out
from worker.tasks.text_regression.params import TextRegressionParams


def numbers(params: TextRegressionParams, splits: Splits) -> Corpus[float]:
    """Return the texts of all splits and their numbers. Raises `BadData`."""

    def reader(labels: Labels, cells: Sequence[Any]) -> Target[float]:
        return labels.number_of

    def held(targets: Sequence[float], share: float) -> frozenset[int]:
        return hold_out(len(targets), share, params.seed)

    return gathered(params, splits, reader, held)
