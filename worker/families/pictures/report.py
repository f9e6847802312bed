"""How the check of a task of pictures begins and ends, whatever is learned of them. Light."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.common import Data, Optimisation
from worker.families.balance import few_steps, plan
from worker.families.pictures.corpus import Corpus
from worker.families.pictures.findings import pixels
from worker.finding import Finding
from worker.task import DataReport


def size(corpus: Corpus[Any], params: Data, *told: str, of: str = "") -> Finding:
    """What there is, as it is `told`, what judges of it, and how large the images are.

    `of` is what a share of is held out, where that is not all: ` of each class`.
    """
    source, judges = corpus.train.source, ""
    if corpus.valid is not None:
        judges = f"{len(corpus.held):,} for validation from {corpus.valid.source}"
    elif params.valid_share is not None:
        judges = f"{params.valid_share:.0%}{of} held out for validation"
    parts = filter(None, (source, *told, judges, pixels(corpus.train)))
    return Finding("ok", "data", " · ".join(parts))


def report(
    corpus: Corpus[Any], params: Optimisation, about: Iterable[Finding], unit: str = "images"
) -> DataReport:
    """Return what is found `about` a corpus, then in how many steps it is learned from.

    `unit` is what an example is called, plural.
    """
    steps = params.steps(max(1, corpus.rows))
    return DataReport(
        findings=(*about, plan(corpus.rows, steps, params, unit), *few_steps(steps, params)),
        rows=corpus.rows,
        valid_rows=corpus.valid_rows,
        units=corpus.rows,
        steps=steps,
    )
