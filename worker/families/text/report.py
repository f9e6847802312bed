"""What a training on texts would make of its examples, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from worker.families.balance import few_steps, plan
from worker.families.balance import rows as rows_that
from worker.families.text.corpus import Corpus, FromRow
from worker.families.text.examples import TextCorpus, broken, left_out
from worker.families.text.lengths import findings as of_lengths
from worker.families.text.lengths import lengths, shortened
from worker.families.text.params import TextSettings
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts

R = TypeVar("R", bound=FromRow)

MOST_UNUSABLE = 0.1
"""Share of rows that may be left out because something is wrong with them; beyond it the columns
are not what they should be."""


def report(
    corpus: TextCorpus[Any],
    scale: float,
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
    rows = round(len(corpus.learned) * scale)
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
        valid_rows=valid_rows(corpus, scale),
        units=rows,
        tokens=round(counted.total * scale),
        longest=counted.longest if scale == 1 and counted.exact else 0,
        steps=steps,
    )


def scale_of(corpus: Corpus[Any, Any], splits: Splits, params: TextSettings) -> float:
    """Return how many times as many training rows there are as were read."""
    read = corpus.train.read
    return max(1.0, params.taken(splits["train"].total) / read) if read else 1.0


def valid_rows(corpus: Corpus[Any, Any], scale: float) -> int:
    """Return how many examples judge: a split of its own was read whole."""
    return round(len(corpus.held) * (1 if corpus.valid else scale))


def size(corpus: Corpus[Any, Any], params: TextSettings, *said: str, of: str = "") -> Finding:
    """How many examples there are, as `said`, and what is held out of them: `of each class`."""
    parts = [corpus.train.source, *said]
    if corpus.valid is not None:
        parts.append(f"{len(corpus.held):,} for validation from {corpus.valid.source}")
    elif params.valid_share is not None:
        kept = " ".join(filter(None, (f"{params.valid_share:.0%}", of, "held out for validation")))
        parts.append(kept)
    return Finding("ok", "data", " · ".join(parts))


def how_many(corpus: Corpus[Any, Any], scale: float, unit: str) -> str:
    """Return how many examples the training split has, called `unit` (plural)."""
    about = "" if scale == 1 else "about "
    return f"{about}{round(len(corpus.train.examples) * scale):,} {unit}"


def not_validated(
    corpus: Corpus[Any, Any], params: TextSettings, what: str, unit: str
) -> Iterable[Finding]:
    """Nothing held out, though perhaps it was meant to be: nobody will know `what`.

    `unit` is what an example is called, singular.
    """
    if corpus.held or not corpus.learned:
        return
    if corpus.valid is None and params.valid_share is None:
        text = f"nothing is held out: nobody will know {what}"
        yield Finding("warn", "data", text, fix="--valid-split 0.2")
    else:
        text = f"no {unit} is left to validate with: nobody will know {what}"
        yield Finding("warn", "data", text, fix="more rows")


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
