"""What training would make of the texts and their numbers, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from worker.bars import by_number
from worker.families.divided import how_many, size
from worker.families.numbers import spread, summed_up
from worker.families.text import report
from worker.families.text.examples import TextCorpus
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.text_regression.numbers import numbers
from worker.tasks.text_regression.params import TextRegressionParams


def inspect(
    params: TextRegressionParams, splits: Splits, facts: ModelFacts, tokenizer: Any
) -> DataReport:
    """Return what training would make of the data. Raises `BadData`."""
    corpus = numbers(params, splits)
    scale = corpus.scale
    how: dict[str, Any] = {"params": params, "facts": facts, "tokenizer": tokenizer}
    made = report.report(corpus, "a number", _about(corpus, scale, params), **how)
    numbered = by_number("Texts by number", corpus.train.targets, scale)
    return replace(made, bars=(numbered, *made.bars))


def _about(
    corpus: TextCorpus[float], scale: float, params: TextRegressionParams
) -> Iterable[Finding]:
    """How many texts there are, and which numbers they have."""
    train, found = corpus.train, corpus.train.targets
    if not found:
        if not train.broken:
            yield Finding("error", "data", f"no row of {train.source} has a text and a number")
        return
    texts = f"{how_many(corpus, 'texts')} with numbers: {summed_up(found)}"
    yield size(corpus, params, texts)
    yield from spread(found, train.target, train.declared, "hubtrain text-classification")
