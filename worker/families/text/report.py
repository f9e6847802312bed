"""What a training on texts would make of its examples, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from worker.bars import by_length
from worker.families.balance import few_steps, plan
from worker.families.balance import rows as rows_that
from worker.families.corpus import Corpus, FromRow
from worker.families.divided import not_validated
from worker.families.text.examples import TextCorpus, broken, left_out
from worker.families.text.lengths import findings as of_lengths
from worker.families.text.lengths import lengths, shortened
from worker.families.text.params import TextSettings
from worker.task import DataReport, Finding, ModelFacts

R = TypeVar("R", bound=FromRow)

MOST_UNUSABLE = 0.1
"""Share of rows that may be left out because something is wrong with them; beyond it the columns
are not what they should be."""


def report(
    corpus: TextCorpus[Any],
    what: str,
    about: Iterable[Finding],
    *,
    params: TextSettings,
    facts: ModelFacts,
    tokenizer: Any,
) -> DataReport:
    """Return what the check says of texts of which one thing is told, a `what`.

    `about` are the findings of what is told.
    """
    rows, scale = corpus.rows, corpus.scale
    steps = params.steps(max(1, rows))
    counted = lengths([one.text for one in corpus.learned], tokenizer, params, facts.config)
    findings = [
        *about,
        *(
            finding
            for split in corpus.splits
            for finding in (*broken(split.broken), *left_out(split, what))
        ),
        *of_lengths(counted, params, "text"),
        *(shortened(params, facts.config, facts.name) if facts.known else ()),
        *not_validated(corpus, params, "how good the model is", "text"),
        plan(rows, steps, params, "texts"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=corpus.valid_rows,
        units=rows,
        tokens=round(counted.total * scale),
        longest=counted.longest if scale == 1 and counted.exact else 0,
        steps=steps,
        bars=(by_length("Texts by tokens", counted.counts, scale),),
    )


def seen_before(
    corpus: Corpus[Any, R], read: Callable[[R], Hashable], what: str
) -> Iterable[Finding]:
    """Validation rows of which the model learns what it will `read` there: the measures flatter.

    `what` ends a sentence that begins with those rows of the validation split: `are learned from`.
    """
    learned = {read(one) for one in corpus.learned}
    again = [one.row for one in corpus.held if read(one) in learned]
    if again:
        rows = rows_that(again, f"of the validation split {what}, too")
        yield Finding("warn", "data", f"{rows}: the measures will flatter the model")


def unusable(count: int, read: int) -> tuple[str, str]:
    """Return how bad it is that of so many rows that were `read` some are broken, and what is said
    of them: an error, or that they are left out."""
    return ("error", "") if count > MOST_UNUSABLE * read else ("warn", ": left out")
