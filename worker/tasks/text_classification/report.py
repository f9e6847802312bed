"""What training would make of the texts and their classes, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from worker.bars import by_class
from worker.families import balance
from worker.families.balance import FEW, counted, doubtful, validated
from worker.families.divided import how_many, size
from worker.families.heads import new_head
from worker.families.text import report
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.text_classification.labels import Classes, classes
from worker.tasks.text_classification.params import TextClassificationParams

OTHER = "--target-column with the column of the classes"
"""What to type where the column is not that of classes."""


def inspect(
    params: TextClassificationParams, splits: Splits, facts: ModelFacts, tokenizer: Any
) -> DataReport:
    """Return what training would make of the data. Raises `BadData`."""
    found = classes(params, splits)
    scale = found.corpus.scale
    about = [*_about(found, scale, params), *new_head(facts, len(found.names))]
    how: dict[str, Any] = {"params": params, "facts": facts, "tokenizer": tokenizer}
    made = report.report(found.corpus, "a class", about, **how)
    classed = by_class("Texts by class", found.counts(), scale)
    return replace(made, classes=len(found.names), bars=(classed, *made.bars))


def _about(found: Classes, scale: float, params: TextClassificationParams) -> Iterable[Finding]:
    """How many texts there are of which classes, and what is odd about that."""
    counts, corpus = found.counts(), found.corpus
    each = ", several each" if found.several else ""
    of = f"in {balance.classes(len(counts))}{each}: {counted(counts, scale)}"
    texts = f"{how_many(corpus, 'texts')} {of}"
    yield size(corpus, params, texts, of="of each class")
    yield from _nothing_to_learn(found)
    yield from doubtful(counts, "texts", scale)
    if corpus.valid is not None:
        learned, seen = (
            {name for one in some for name in one.target} for some in (corpus.learned, corpus.held)
        )
        yield from validated(learned, seen, corpus.valid.source, "text", whole=scale == 1)


def _nothing_to_learn(found: Classes) -> Iterable[Finding]:
    """Find that there are no texts, or nothing to tell apart."""
    train = found.corpus.train
    if not train.examples:
        if not train.broken:
            text = f"no row of {train.source} has a text and a class"
            yield Finding("error", "data", text)
        return
    used = [name for name, count in found.counts().items() if count]
    if found.several:
        if not used:
            text = f'every list in the column "{train.target}" of {train.source} is empty'
            yield Finding("error", "data", text, fix=OTHER)
    elif len(used) == 1:
        text = f'all texts are of the class "{used[0]}": there is nothing to tell apart'
        yield Finding("error", "data", text, fix=OTHER)
    elif len(used) == len(train.examples) > FEW:
        text = f'each text has a class of its own in the column "{train.target}"'
        fix = f"{OTHER}, or text-regression for numbers"
        yield Finding("error", "data", text, fix=fix)
