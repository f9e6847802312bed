"""What training would make of pairs of texts, before anything is rented. Light: no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from worker.bars import by_length
from worker.families.balance import few_steps, plan
from worker.families.balance import rows as rows_that
from worker.families.corpus import Corpus
from worker.families.divided import how_many, not_validated, size
from worker.families.text import lengths as tokens
from worker.families.text.examples import broken
from worker.families.text.lengths import Lengths
from worker.families.text.report import seen_before
from worker.rendered import Part, Rendered, rendered
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.seq2seq.params import Seq2SeqParams
from worker.tasks.seq2seq.rows import Pair, Pairs, gathered


def inspect(params: Seq2SeqParams, splits: Splits, facts: ModelFacts, tokenizer: Any) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params)
    scale = corpus.scale
    rows = corpus.rows
    steps = params.steps(max(1, rows))
    texts, targets = _lengths(params, facts, tokenizer, corpus)
    findings = [
        size(corpus, params, how_many(corpus, "pairs of texts")),
        *_nothing_to_learn(corpus.train),
        *(finding for split in corpus.splits for finding in _left_out(split)),
        *tokens.findings(texts, params, "text"),
        *tokens.findings(targets, params.of_targets, "target", "--max-target-length"),
        *seen_before(corpus, lambda one: one.text, "with a text that is learned from"),
        *not_validated(corpus, params, "how well the model writes", "pair"),
        plan(rows, steps, params, "texts"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=corpus.valid_rows,
        units=rows,
        tokens=round((texts.total + targets.total) * scale),
        steps=steps,
        example=_example(corpus.train),
        bars=(
            by_length("Texts by tokens", texts.counts, scale),
            by_length("Targets by tokens", targets.counts, scale),
        ),
    )


def _nothing_to_learn(found: Pairs) -> Iterable[Finding]:
    """No pairs at all, or such in which both texts are the same."""
    if not found.examples:
        text = f"no row of {found.source} has a text and what is to be written of it"
        yield Finding("error", "data", text)
        return
    same = [one.row for one in found.examples if one.text == one.target]
    if len(same) == len(found.examples):
        text = "both columns say the same in every row: there is nothing to learn"
        yield Finding("error", "data", text, fix="--text-column and --target-column")
    elif same:
        yield Finding("warn", "data", rows_that(same, "whose text is to be written as it is"))


def _left_out(found: Pairs) -> Iterable[Finding]:
    yield from broken(found.broken)
    if found.empty:
        what = rows_that(found.empty, f"of {found.source} without a text on both sides")
        yield Finding("warn", "data", f"{what}: left out")


def _lengths(
    params: Seq2SeqParams, facts: ModelFacts, tokenizer: Any, corpus: Corpus[Pairs, Pair]
) -> tuple[Lengths, Lengths]:
    """Return how long both sides are in tokens."""
    read = [one.text for one in corpus.learned]
    written = [one.target for one in corpus.learned]
    texts = tokens.lengths(read, tokenizer, params, facts.config)
    targets = tokens.lengths(written, tokenizer, params, facts.config)
    return texts, replace(targets, seen=params.written(facts.config))


def _example(found: Pairs) -> Rendered | None:
    if not found.examples:
        return None
    one = found.examples[0]
    parts = (Part(f"{one.text}\n"), Part(one.target, learned=True))
    return rendered(f"line {one.row} of {found.source}", parts)
