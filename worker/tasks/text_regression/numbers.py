"""Which number each text has. Light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.families.labels import Labels
from worker.families.text.examples import Target, TextCorpus, gathered
from worker.splits import Splits
from worker.tasks.text_regression.params import TextRegressionParams


def numbers(params: TextRegressionParams, splits: Splits) -> TextCorpus[float]:
    """Return the texts of all splits and their numbers. Raises `BadData`."""

    def reader(labels: Labels, cells: Sequence[Any]) -> Target[float]:
        return labels.number_of

    return gathered(params, splits, reader)
