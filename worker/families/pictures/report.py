"""How the check of a task of pictures ends, whatever is learned of them. Light."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.common import Optimisation
from worker.families.balance import few_steps, plan
from worker.families.corpus import Corpus
from worker.finding import Finding
from worker.task import DataReport


def report(
    corpus: Corpus[Any, Any], params: Optimisation, about: Iterable[Finding], unit: str = "images"
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
