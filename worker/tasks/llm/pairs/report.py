"""What training would make of pairs of answers, counted before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from worker.bars import by_length
from worker.families.balance import few_steps
from worker.families.text.lengths import CHARACTERS_A_TOKEN
from worker.rendered import Rendered
from worker.shorten import shortened
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.llm import findings, showing
from worker.tasks.llm.broken import at
from worker.tasks.llm.data import Speech, text_end, training_split
from worker.tasks.llm.findings import LOOKED_AT, Counts
from worker.tasks.llm.pairs.data import (
    Limits,
    PairExamples,
    encoded,
    fitted,
    limits_of,
    read,
    within,
)
from worker.tasks.llm.pairs.params import Pairs
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.report import heads, scale_of, spoken
from worker.tasks.llm.tokens import Example, Tokenizer

SHOWN = 300
"""Characters of the rejected answer that the example shows."""

SEAM = 20
"""Characters shown of a prompt and an answer where they meet."""


def inspect(
    params: LlmParams,
    own: Pairs,
    splits: Splits,
    facts: ModelFacts,
    tokenizer: Tokenizer | None,
) -> DataReport:
    """Return what training would make of the data. Raises `BadData` and `BadConfig`.

    As `worker.tasks.llm.report.inspect`, for rows that are pairs.
    """
    asked, params = params, params.within(facts.config)
    how = spoken(params, facts, tokenizer)
    train_rows, valid_rows = training_split(splits, params)
    split = splits["train"]
    train = read(split, params, own, how, train_rows)
    valid = read(splits.get("valid", split), params, own, how, valid_rows) if valid_rows else None
    limits = limits_of(params, own)
    counts = count(train, params, limits, tokenizer, how)
    scale = scale_of(params, splits, len(train_rows), len(valid_rows))
    pairs = len(counts.pieces) * scale
    steps = params.steps(max(1, round(pairs)))
    found = [
        findings.size(train.chosen, valid.chosen if valid else None, params, scale),
        *findings.broken(train.chosen, valid.chosen if valid else None),
        *findings.no_rows(train.chosen),
        *findings.lengths(counts, params, tokenizer),
        *nothing(train, counts),
        *findings.not_held_out(splits, valid_rows, params),
        findings.loss(train.chosen, params, how),
        *cut(counts, limits),
        *run_together(train),
        *left_out(train),
        *findings.unknown_tokens(counts, facts, tokenizer),
        *findings.oddities(train.chosen, counts, params),
        *findings.shortened(asked, params),
        Finding("ok", "data", findings.plan(pairs, steps, params, "pairs")),
        *few_steps(steps, params),
    ]
    valid_count = len(valid.chosen.examples) if valid else 0
    return DataReport(
        findings=tuple(found),
        rows=round(pairs),
        valid_rows=round(valid_count * (1 if "valid" in splits else scale)),
        units=round(counts.tokens * scale),
        largest=counts.largest if scale == 1 else 0,
        steps=steps,
        example=shown(train, params, tokenizer, how, params.row_tokens),
        bars=(by_length("Pairs by tokens of the longer answer", counts.lengths, scale),),
    )


@dataclass(frozen=True, slots=True)
class PairCounts(Counts):
    """Lengths of each pair's longer answer with its prompt; `pieces` are those trained on."""

    tokens: int = 0
    """Of all that is trained on in one epoch."""

    largest: int = 0
    """Tokens of the largest pair."""

    prompts_cut: int = 0
    answers_cut: int = 0
    """Pairs of which one is cut by a limit of its own."""


def count(
    train: PairExamples,
    params: LlmParams,
    limits: Limits,
    tokenizer: Tokenizer | None,
    how: Speech,
) -> PairCounts:
    """Return how long the pairs are, with the real tokenizer where there is one."""
    if tokenizer is None:
        return _guessed(train, limits)
    lengths, pieces, sums, over, prompts, answers, highest = [], [], [], 0, 0, 0, -1
    for pair in encoded(looked_at(train), tokenizer, text_end(params, how, tokenizer)):
        lengths.append(max(map(len, pair)))
        highest = max(highest, *(max(one.ids, default=-1) for one in pair))
        first = [one.learned.find(1) for one in pair]
        prompts += limits.prompt is not None and max(first) > limits.prompt
        ends = [one.learned.rfind(1) + 1 - at for one, at in zip(pair, first, strict=True)]
        answers += limits.completion is not None and max(ends) > limits.completion
        over += any(
            cut and len(cut) > limits.row for cut in (within(t, limits.apart) for t in pair)
        )
        if kept := fitted(*pair, limits):
            pieces.append(max(len(kept.chosen), len(kept.rejected)))
            sums.append(len(kept))
    unlearned = len(lengths) - len(pieces)
    long = sum(len(e.text) > LOOKED_AT for e in train.chosen.examples)
    largest = max(sums, default=0)
    counted = (lengths, pieces, over, unlearned, long, highest)
    return PairCounts(*counted, sum(sums), largest, prompts, answers)


def looked_at(train: PairExamples) -> PairExamples:
    """Return the pairs as far as they are counted."""
    chosen, rejected = (
        replace(side, examples=heads(side.examples)) for side in (train.chosen, train.rejected)
    )
    return replace(train, chosen=chosen, rejected=rejected)


def _guessed(train: PairExamples, limits: Limits) -> PairCounts:
    chosen, rejected = (
        [max(2, round(len(e.text) / CHARACTERS_A_TOKEN)) for e in side.examples]
        for side in (train.chosen, train.rejected)
    )
    lengths = list(map(max, zip(chosen, rejected, strict=True)))
    sums = [
        min(one, limits.row) + min(other, limits.row)
        for one, other in zip(chosen, rejected, strict=True)
    ]
    over = sum(n > limits.row for n in lengths)
    return PairCounts(lengths, lengths, over, 0, tokens=sum(sums), largest=max(sums, default=0))


def left_out(train: PairExamples) -> Iterator[Finding]:
    """Rows that show no preference."""
    for why, lines in train.left_out.items():
        text = f"left out, since {why}: {at(lines)} of {train.chosen.layout.source}"
        yield Finding("warn", "data", text)


def run_together(train: PairExamples) -> Iterator[Finding]:
    """Strings between whose prompts and answers nothing stands."""
    if train.chosen.layout.kind != "prompt":
        return
    both = [(e.text[:at], e.text[at:]) for e in train.chosen.examples for at, _ in e.learned or ()]
    glued = [pair for pair in both if pair[0][-1:].isalnum() and pair[1][:1].isalnum()]
    if 2 * len(glued) > len(both):
        prompt, answer = glued[0]
        text = f"prompts and answers run together: «{prompt[-SEAM:]}{answer[:SEAM]}»"
        fix = "--chat-template chatml (or tokenizer), or a space behind the prompts"
        yield Finding("warn", "data", text, fix=fix)


def nothing(train: PairExamples, counts: Counts) -> Iterator[Finding]:
    """Find that there is nothing to learn at all, however many rows there are."""
    if counts.lengths and not counts.pieces:
        text = "no pair differs within a training row: the prompts leave the answers no room"
        yield Finding("error", "data", text, fix="a larger --block-size, or --max-prompt-length")


def cut(counts: PairCounts, limits: Limits) -> Iterator[Finding]:
    """What the limits of prompts and answers take away."""
    for n, what, flag, most in (
        (counts.prompts_cut, "prompts are cut to their last", "--max-prompt-length", limits.prompt),
        (
            counts.answers_cut,
            "pairs have an answer cut to its first",
            "--max-completion-length",
            limits.completion,
        ),
    ):
        if n:
            yield Finding("ok", "data", f"{n:,} {what} {most:,} tokens ({flag})")


def shown(
    train: PairExamples, params: LlmParams, tokenizer: Tokenizer | None, how: Speech, row: int
) -> Rendered | None:
    """Return one chosen answer behind its prompt, as the model gets it, and the rejected one."""
    pairs = zip(train.chosen.lines, train.chosen.examples, train.rejected.examples, strict=True)
    for line, chosen, rejected in pairs:
        alone = replace(train.chosen, lines=[line], examples=[chosen])
        if found := showing.example(alone, params, tokenizer, how, row):
            said = shortened(_learned(rejected), SHOWN).replace("\n", "⏎")
            return replace(found, note=" · ".join(filter(None, [found.note, f"rejected: {said}"])))
    return None


def _learned(one: Example) -> str:
    return " … ".join(one.text[start:end] for start, end in one.learned or ())
