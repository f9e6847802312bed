"""What training would make of the examples, counted before anything is rented. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from worker.bars import by_length
from worker.families.balance import few_steps
from worker.families.text.lengths import CHARACTERS_A_TOKEN
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.llm import findings, packing, showing, trainers
from worker.tasks.llm.data import Examples, Speech, read, speech, text_end, training_split
from worker.tasks.llm.findings import LOOKED_AT, Counts
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Example, Tokenizer, encode, special_ids

PLAIN = (
    "{{ tools or '' }}{% for message in messages %}{{ message.reasoning_content or '' }}"
    "{{ message['content'] }}{{ message.tool_calls or '' }}\n{% endfor %}"
)
"""A chat template that takes anything, for when the model's own is not known."""


def inspect(
    params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Tokenizer | None
) -> DataReport:
    """Return what training would make of the data. Raises `BadData` and `BadConfig`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    `tokenizer` is a `tokenizers.Tokenizer`, or none where the model has no `tokenizer.json`.
    """
    return inspected(params, splits, facts, tokenizer)[0]


def inspected(
    params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Tokenizer | None
) -> tuple[DataReport, Examples]:
    """Return what `inspect` does, and the examples that are trained on."""
    asked, params = params, params.within(facts.config)
    how = spoken(params, facts, tokenizer)
    train_rows, valid_rows = training_split(splits, params)
    split = splits["train"]
    train = read(split, params, how, train_rows)
    valid = read(splits.get("valid", split), params, how, valid_rows) if valid_rows else None
    counts = count(train.examples, params, tokenizer, how)
    scale = scale_of(params, splits, len(train_rows), len(valid_rows))
    rows = packing.training_rows(counts.pieces, params.row_tokens, params.packing)
    steps = params.steps(max(1, round(len(rows) * scale)))
    found = [
        findings.size(train, valid, params, scale),
        *findings.broken(train, valid),
        *findings.no_rows(train),
        *findings.lengths(counts, params, tokenizer),
        *findings.unknown_tokens(counts, facts, tokenizer),
        *findings.nothing(train, counts, params),
        *findings.not_held_out(splits, valid_rows, params),
        findings.loss(train, params, how),
        *findings.oddities(train, counts, params),
        *findings.unused(train, params),
        *findings.shortened(asked, params),
        Finding("ok", "data", findings.plan(len(rows) * scale, steps, params)),
        *few_steps(steps, params),
    ]
    report = DataReport(
        findings=tuple(found),
        rows=round(len(train.examples) * scale),
        valid_rows=round(len(valid.examples) * (1 if "valid" in splits else scale)) if valid else 0,
        units=round(sum(counts.pieces) * scale),
        steps=steps,
        example=showing.example(train, params, tokenizer, how, params.row_tokens),
        bars=(by_length("Examples by tokens", counts.lengths, scale),),
    )
    return report, train


def spoken(params: LlmParams, facts: ModelFacts, tokenizer: Tokenizer | None) -> Speech:
    """Return how a model is spoken to, as far as it is known."""
    template = facts.chat_template if facts.known else PLAIN
    return speech(params, facts.tokenizer_config, template, tokenizer)


def scale_of(params: LlmParams, splits: Splits, train_rows: int, valid_rows: int) -> float:
    """Return how many times as many training rows there are as were read."""
    split, read_rows = splits["train"], train_rows + (0 if "valid" in splits else valid_rows)
    return max(1.0, params.taken(split.total) / read_rows) if read_rows else 1.0


def count(
    examples: Sequence[Example], params: LlmParams, tokenizer: Tokenizer | None, how: Speech
) -> Counts:
    """Return how long the examples are, with the real tokenizer where there is one."""
    row = params.row_tokens
    if tokenizer is None:
        lengths = [max(2, round(len(e.text) / CHARACTERS_A_TOKEN)) for e in examples]
        return Counts(lengths, [min(n, row) for n in lengths], sum(n > row for n in lengths), 0)
    trainer, special = trainers.of(params), special_ids(tokenizer)
    eos = text_end(params, how, tokenizer)
    lengths, pieces, unlearned, highest = [], [], 0, -1
    for example, tokens in zip(examples, encode(heads(examples), tokenizer, eos), strict=True):
        length = round(len(tokens) * max(1.0, len(example.text) / LOOKED_AT))
        lengths.append(length)
        highest = max(highest, max(tokens.ids, default=-1))
        kept = trainer.pieces(tokens, row, special)
        unlearned += not kept
        pieces += [len(piece) for piece in kept]
        if trainer.continues and kept:
            pieces += [row] * ((length - len(tokens)) // row)
    long = sum(len(e.text) > LOOKED_AT for e in examples)
    return Counts(lengths, pieces, sum(n > row for n in lengths), unlearned, long, highest)


def heads(examples: Sequence[Example]) -> list[Example]:
    """Return the examples as far as they are looked at."""
    return [
        e if len(e.text) <= LOOKED_AT else replace(e, text=e.text[:LOOKED_AT]) for e in examples
    ]
