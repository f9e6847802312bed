"""What training would make of pairs of texts, before anything is rented. Light: no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from worker.families.balance import few_steps, plan
from worker.families.balance import rows as rows_that
from worker.families.text import lengths as tokens
from worker.families.text.examples import broken
from worker.families.text.lengths import Lengths
from worker.rendered import Part, Rendered, rendered
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.seq2seq.params import Seq2SeqParams
from worker.tasks.seq2seq.rows import Corpus, Examples, gathered


def inspect(params: Seq2SeqParams, splits: Splits, facts: ModelFacts, tokenizer: Any) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params)
    whole, read = params.taken(splits["train"].total), corpus.train.read
    scale = max(1.0, whole / read) if read else 1.0
    rows = round(len(corpus.learned) * scale)
    steps = params.steps(max(1, rows))
    texts, targets = _lengths(params, facts, tokenizer, corpus)
    findings = [
        _size(corpus, params, scale),
        *_nothing_to_learn(corpus.train),
        *_left_out(corpus.train),
        *(_left_out(corpus.valid) if corpus.valid else ()),
        *tokens.findings(texts, params, "text"),
        *tokens.findings(targets, params.of_targets, "target", "--max-target-length"),
        *_seen_before(corpus),
        *_not_validated(corpus),
        plan(rows, steps, params, "texts"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=round(len(corpus.held) * (1 if corpus.valid else scale)),
        units=rows,
        tokens=round((texts.total + targets.total) * scale),
        steps=steps,
        example=_example(corpus.train),
    )


def _size(corpus: Corpus, params: Seq2SeqParams, scale: float) -> Finding:
    """How many pairs there are, and what is held out."""
    about = "" if scale == 1 else "about "
    pairs = f"{about}{round(len(corpus.train.examples) * scale):,} pairs of texts"
    parts = [corpus.train.source, pairs]
    if corpus.valid is not None:
        parts.append(f"{len(corpus.held):,} for validation from {corpus.valid.source}")
    elif params.valid_share is not None:
        parts.append(f"{params.valid_share:.0%} held out for validation")
    return Finding("ok", "data", " · ".join(parts))


def _nothing_to_learn(found: Examples) -> Iterable[Finding]:
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


def _left_out(found: Examples) -> Iterable[Finding]:
    yield from broken(found.broken)
    if found.empty:
        what = rows_that(found.empty, f"of {found.source} without a text on both sides")
        yield Finding("warn", "data", f"{what}: left out")


def _lengths(
    params: Seq2SeqParams, facts: ModelFacts, tokenizer: Any, corpus: Corpus
) -> tuple[Lengths, Lengths]:
    """Return how long both sides are in tokens."""
    read = [one.text for one in corpus.learned]
    written = [one.target for one in corpus.learned]
    texts = tokens.lengths(read, tokenizer, params, facts.config)
    targets = tokens.lengths(written, tokenizer, params, facts.config)
    return texts, replace(targets, seen=params.written(facts.config))


def _seen_before(corpus: Corpus) -> Iterable[Finding]:
    """Validation texts that are learned from as well, so that the measures flatter."""
    learned = {one.text for one in corpus.learned}
    again = [one.row for one in corpus.held if one.text in learned]
    if again:
        what = rows_that(again, "of the validation split with a text that is learned from, too")
        yield Finding("warn", "data", f"{what}: the measures will flatter the model")


def _not_validated(corpus: Corpus) -> Iterable[Finding]:
    if not corpus.held:
        text = "nothing is held out: nobody will know how well the model writes"
        yield Finding("warn", "data", text, fix="--valid-split 0.2")


def _example(found: Examples) -> Rendered | None:
    if not found.examples:
        return None
    one = found.examples[0]
    parts = (Part(f"{one.text}\n"), Part(one.target, learned=True))
    return rendered(f"line {one.row} of {found.source}", parts)
