"""What a training on texts would make of its examples, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.families.balance import few_steps, plan
from worker.families.text.examples import Corpus, TextAndTarget, broken, left_out
from worker.families.text.lengths import findings as of_lengths
from worker.families.text.lengths import lengths, shortened
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts


def scale_of(corpus: Corpus[Any], splits: Splits, params: TextAndTarget) -> float:
    """Return how many times as many training rows there are as were read."""
    read = corpus.train.read
    return max(1.0, params.taken(splits["train"].total) / read) if read else 1.0


def report(
    corpus: Corpus[Any],
    scale: float,
    what: str,
    about: Iterable[Finding],
    *,
    params: TextAndTarget,
    facts: ModelFacts,
    tokenizer: Any,
) -> DataReport:
    """Return what the check says of a corpus; `about` are the findings of its targets, a `what`."""
    rows = round(len(corpus.learned) * scale)
    steps = params.steps(max(1, rows))
    counted = lengths([one.text for one in corpus.learned], tokenizer, params, facts.config)
    splits = [split for split in (corpus.train, corpus.valid) if split is not None]
    findings = [
        *about,
        *(
            finding
            for split in splits
            for finding in (*broken(split.broken), *left_out(split, what))
        ),
        *of_lengths(counted, params, "text"),
        *(shortened(params, facts.config, facts.name) if facts.known else ()),
        *not_validated(corpus, params),
        plan(rows, steps, params, "texts"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=round(len(corpus.held) * (1 if corpus.valid else scale)),
        units=rows,
        tokens=round(counted.total * scale),
        longest=counted.longest if scale == 1 and counted.exact else 0,
        steps=steps,
    )


def size(corpus: Corpus[Any], scale: float, of: str, held: str, params: TextAndTarget) -> Finding:
    """How many texts there are `of` something, and what is held out of them: `held`, in words."""
    about = "" if scale == 1 else "about "
    texts = round(len(corpus.train.examples) * scale)
    parts = [corpus.train.source, f"{about}{texts:,} texts {of}"]
    if corpus.valid is not None:
        parts.append(f"{len(corpus.held):,} for validation from {corpus.valid.source}")
    elif params.valid_share is not None:
        parts.append(f"{params.valid_share:.0%} {held}held out for validation")
    return Finding("ok", "data", " · ".join(parts))


def not_validated(corpus: Corpus[Any], params: TextAndTarget) -> Iterable[Finding]:
    """Nothing held out, though perhaps it was meant to be."""
    if corpus.held or not corpus.learned:
        return
    if corpus.valid is None and params.valid_share is None:
        text = "nothing is held out: nobody will know how good the model is"
        yield Finding("warn", "data", text, fix="--valid-split 0.2")
    else:
        text = "no text is left to validate with: nobody will know how good the model is"
        yield Finding("warn", "data", text, fix="more rows")
