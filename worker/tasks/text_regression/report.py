"""What training would make of the texts and their numbers, before anything is rented. Light."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from worker.families.text import report
from worker.families.text.examples import Corpus
from worker.shorten import some
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.text_regression.numbers import numbers
from worker.tasks.text_regression.params import TextRegressionParams

FEW_NUMBERS = 4
"""Different numbers up to which they are likely to stand for classes."""

OTHER = "--target-column with the column of the numbers"


def inspect(
    params: TextRegressionParams, splits: Splits, facts: ModelFacts, tokenizer: Any
) -> DataReport:
    """Return what training would make of the data. Raises `BadData`."""
    corpus = numbers(params, splits)
    scale = report.scale_of(corpus, splits, params)
    how: dict[str, Any] = {"params": params, "facts": facts, "tokenizer": tokenizer}
    return report.report(corpus, scale, "a number", _about(corpus, scale, params), **how)


def _about(corpus: Corpus[float], scale: float, params: TextRegressionParams) -> Iterable[Finding]:
    """How many texts there are, and which numbers they have."""
    train, found = corpus.train, corpus.train.targets
    if not found:
        if not train.broken:
            yield Finding("error", "data", f"no row of {train.source} has a text and a number")
        return
    spread = (
        f"{min(found):g} to {max(found):g}, mean {statistics.fmean(found):.4g}, "
        f"standard deviation {statistics.pstdev(found):.4g}"
    )
    yield report.size(corpus, scale, f"with numbers: {spread}", "", params)
    different = sorted(set(found))
    if len(different) == 1:
        text = f'all numbers of the column "{train.target}" are {different[0]:g}'
        yield Finding("error", "data", f"{text}: there is nothing to learn", fix=OTHER)
    elif len(different) <= FEW_NUMBERS < len(found):
        text = f"only {len(different)} different numbers: {some(f'{n:g}' for n in different)}"
        fix = "hubtrain text-classification, if they stand for classes"
        yield Finding("warn", "data", text, fix=fix)
    if corpus.valid is not None and len(set(corpus.valid.targets)) == 1:
        text = f"all numbers of {corpus.valid.source} are the same: r2 compares with nothing there"
        yield Finding("warn", "data", text)
