"""What training would make of sentences, before anything is rented. Light: no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from worker.bars import by_length
from worker.families.balance import doubtful, few_steps, plan, validated
from worker.families.balance import rows as rows_that
from worker.families.divided import how_many, not_validated, size
from worker.families.text import lengths as tokens
from worker.families.text.examples import broken
from worker.families.text.report import seen_before
from worker.rendered import Part, Rendered, rendered
from worker.shorten import some
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.sentence_transformers.params import SentenceParams
from worker.tasks.sentence_transformers.rows import (
    Examples,
    SentenceCorpus,
    columns_of,
    gathered,
)

UNIT = "rows"

SMALL_BATCH = 16
"""Rows of a batch below which a larger one is proposed, where they serve as negatives."""


def inspect(
    params: SentenceParams, splits: Splits, facts: ModelFacts, tokenizer: Any
) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params)
    scale = corpus.scale
    rows = corpus.rows
    steps = params.steps(max(1, rows))
    said = [
        text for column in columns_of(corpus.learned, params.learns.sentences) for text in column
    ]
    counted = tokens.lengths(said, tokenizer, params, facts.config)
    findings = [
        size(corpus, params, how_many(corpus, params.learns.rows)),
        *_nothing_to_learn(corpus.train, params),
        *(finding for split in corpus.splits for finding in _left_out(split)),
        *_targets(corpus, params, scale),
        *_same(corpus.train, params),
        *_twice(corpus.train),
        *tokens.findings(counted, params, "sentence"),
        *(tokens.shortened(params, facts.config, facts.name) if facts.known else ()),
        *seen_before(corpus, lambda one: one.sentences, "that are learned from"),
        *not_validated(corpus, params, "how well sentences are told apart", "row"),
        *_small_batch(params),
        plan(rows, steps, params, UNIT),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=corpus.valid_rows,
        units=rows,
        tokens=round(counted.total * scale / params.learns.sentences),
        longest=counted.longest if scale == 1 and counted.exact else 0,
        steps=steps,
        example=_example(corpus.train),
        bars=(by_length("Sentences by tokens", counted.counts, scale),),
        classes=len(corpus.train.classes) if params.learns.target == "class" else 0,
    )


def _nothing_to_learn(found: Examples, params: SentenceParams) -> Iterable[Finding]:
    """No rows, or targets that are all the same."""
    if not found.examples:
        text = f"no row of {found.source} has all its sentences"
        yield Finding("error", "data", text)
        return
    targets = {one.target for one in found.examples}
    if len(targets) == 1 and not params.learns.batch_negatives:
        what = "score" if params.learns.target == "score" else "class"
        text = f"all pairs have the same {what}, {targets.pop()}: there is nothing to learn"
        yield Finding("error", "data", text, fix="--target-column, or --trainer pair")


def _left_out(found: Examples) -> Iterable[Finding]:
    """Rows that are no examples."""
    yield from broken(found.broken)
    reasons = (
        (found.empty, f"of {found.source} without one of the sentences"),
        (found.untold, f"of {found.source} without a score or class"),
        (found.contradicting, "whose second sentence is also the one that does not belong"),
    )
    for numbers, what in reasons:
        if numbers:
            yield Finding("warn", "data", f"{rows_that(numbers, what)}: left out")


def _targets(corpus: SentenceCorpus, params: SentenceParams, scale: float) -> Iterable[Finding]:
    """How scores are spread, or how many examples each class has."""
    found = corpus.train
    if params.learns.target == "score" and found.examples:
        scores = sorted(float(one.target or 0) for one in found.examples)
        text = f"scores from {scores[0]:g} to {scores[-1]:g}, median {scores[len(scores) // 2]:g}"
        yield Finding("ok", "data", f"{text}: kept as they are, since only their order is learned")
    if params.learns.target != "class":
        return
    counts = {name: 0 for name in found.classes} | Counter(str(e.target) for e in found.examples)
    named = some(f"{name} {round(count * scale):,}" for name, count in counts.items())
    yield Finding("ok", "data", f"{len(counts):,} classes: {named}")
    yield from doubtful(counts, "pairs", scale)
    if corpus.valid is not None:
        seen = {str(one.target) for one in corpus.held}
        learned = {str(one.target) for one in corpus.learned}
        yield from validated(learned, seen, corpus.valid.source, "pair", whole=scale == 1)


def _same(found: Examples, params: SentenceParams) -> Iterable[Finding]:
    """Pairs of a sentence with itself: their vectors are the same before any training."""
    same = [one.row for one in found.examples if one.sentences[0] == one.sentences[1]]
    if same and params.learns.target != "class":
        what = rows_that(same, "in which both sentences are the same")
        yield Finding("warn", "data", f"{what}: nothing is learned from them")


def _twice(found: Examples) -> Iterable[Finding]:
    """Rows whose sentences are those of a row before."""
    first: set[tuple[str, ...]] = set()
    again = []
    for one in found.examples:
        if one.sentences in first:
            again.append(one.row)
        first.add(one.sentences)
    if again:
        yield Finding("warn", "data", rows_that(again, f"of {found.source} that were there before"))


def _small_batch(params: SentenceParams) -> Iterable[Finding]:
    """A batch in which a sentence is compared with few others."""
    if params.learns.batch_negatives and params.batch_size < SMALL_BATCH:
        text = (
            f"a sentence is told from the {params.batch_size - 1} others of its batch: more of "
            "them teach more, where memory allows"
        )
        yield Finding("ok", "data", f"{text} (--batch-size {2 * SMALL_BATCH})")


def _example(found: Examples) -> Rendered | None:
    if not found.examples:
        return None
    one = found.examples[0]
    parts = [Part("\n".join(one.sentences))]
    if one.target is not None:
        told = f"{one.target:g}" if isinstance(one.target, float) else one.target
        parts.append(Part(f"\n{told}", learned=True))
    return rendered(f"line {one.row} of {found.source}", parts)
