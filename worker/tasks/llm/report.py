"""What preflight says of the examples, before anything is rented. Light: no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.splits import Split, Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.llm import packing
from worker.tasks.llm.data import Examples, Speech, read, speech, training_split
from worker.tasks.llm.params import AUTO_BLOCK, LlmParams
from worker.tasks.llm.tokens import Example, Tokenizer, cut, encode

CHARACTERS_A_TOKEN = 4.0
"""Where the model has no `tokenizer.json` to count with."""

LOOKED_AT = 1 << 20
"""Characters of an example that are counted, a quarter of a million tokens or so: the rest is taken
to be like them. Counted whole, a row of 10 million tokens takes half a minute."""

SHOWN_LINES = 5
"""Line numbers named in a finding before it says how many more there are."""

FEW_STEPS = 10
"""Optimizer steps below which the user is told."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Lengths of the examples, and of the pieces of them that are trained on, in tokens."""

    lengths: Sequence[int]
    pieces: Sequence[int]
    over: int
    """Examples longer than a training row."""

    unlearned: int
    """Examples with nothing to learn within a training row."""

    long: int = 0
    """Examples of which only the beginning was counted."""


def inspect(
    params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Tokenizer | None
) -> DataReport:
    """Return what training would make of the data. Raises `BadData` and `BadConfig`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    `tokenizer` is a `tokenizers.Tokenizer`, or none where the model has no `tokenizer.json`.
    """
    asked, params = params, params.within(facts.config)
    how = speech(params, facts.tokenizer_config, facts.chat_template, tokenizer)
    train_rows, valid_rows = training_split(splits, params)
    split = splits["train"]
    train = read(split, params, how, train_rows)
    valid = read(splits.get("valid", split), params, how, valid_rows) if valid_rows else None
    counts = count(train.examples, params, tokenizer, how)
    scale = _scale(params, split, len(train_rows) + (0 if "valid" in splits else len(valid_rows)))
    rows = packing.training_rows(counts.pieces, params.row_tokens, params.packing)
    steps = params.max_steps or packing.steps(
        max(1, round(len(rows) * scale)),
        params.batch_size,
        params.gradient_accumulation,
        params.epochs,
    )
    findings = [
        _size(train, valid, params, scale),
        *_lengths(counts, params, tokenizer),
        *_nothing(train, counts, params),
        *_not_held_out(splits, valid_rows, params),
        _loss(train, params, how),
        *_oddities(train, counts, params),
        *_unused(train, params),
        *_shortened(asked, params),
        Finding("ok", "data", _plan(len(rows) * scale, steps, params)),
        *_few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=round(len(train.examples) * scale),
        valid_rows=round(len(valid.examples) * (1 if "valid" in splits else scale)) if valid else 0,
        tokens=round(sum(counts.pieces) * scale),
        steps=steps,
    )


def _scale(params: LlmParams, split: Split, read_rows: int) -> float:
    wanted = min(split.total, params.max_samples or split.total)
    return max(1.0, wanted / read_rows) if read_rows else 1.0


def count(
    examples: Sequence[Example], params: LlmParams, tokenizer: Tokenizer | None, how: Speech
) -> Counts:
    """Return how long the examples are, with the real tokenizer where there is one."""
    row = params.row_tokens
    if tokenizer is None:
        lengths = [max(2, round(len(e.text) / CHARACTERS_A_TOKEN)) for e in examples]
        return Counts(lengths, [min(n, row) for n in lengths], sum(n > row for n in lengths), 0)
    eos = token_id(tokenizer, how.eos)
    keep_all = params.trainer == "default"
    lengths, pieces, unlearned = [], [], 0
    heads = [
        e if len(e.text) <= LOOKED_AT else replace(e, text=e.text[:LOOKED_AT]) for e in examples
    ]
    for example, tokens in zip(examples, encode(heads, tokenizer, eos), strict=True):
        length = round(len(tokens) * max(1.0, len(example.text) / LOOKED_AT))
        lengths.append(length)
        kept = cut(tokens, row, keep_all=keep_all)
        unlearned += not kept
        pieces += [len(piece) for piece in kept]
        if keep_all and kept:
            pieces += [row] * ((length - len(tokens)) // row)
    long = sum(len(e.text) > LOOKED_AT for e in examples)
    return Counts(lengths, pieces, sum(n > row for n in lengths), unlearned, long)


def token_id(tokenizer: Any, token: str | None) -> int | None:
    """Return the id of a special token; none if there is no such token."""
    found = tokenizer.token_to_id(token) if token else None
    return None if found is None else int(found)


def _size(train: Examples, valid: Examples | None, params: LlmParams, scale: float) -> Finding:
    what = {
        "messages": "conversations",
        "prompt": "prompts with completions",
        "instruction": "instructions with answers",
        "text": "texts",
    }
    known = "" if scale == 1 else "about "
    parts = [
        train.layout.source,
        f"{known}{round((train.read - len(train.empty)) * scale):,} {what[train.layout.kind]}",
    ]
    if valid is None:
        parts.append("no validation split (--valid-split)")
    elif params.valid_share is not None:
        parts.append(f"{params.valid_share:.0%} held out for validation (--valid-split)")
    else:
        parts.append(f"{len(valid.examples):,} for validation from {valid.layout.source}")
    return Finding("ok", "data", " · ".join(parts))


def _lengths(counts: Counts, params: LlmParams, tokenizer: Tokenizer | None) -> Iterable[Finding]:
    if not counts.lengths:
        yield Finding("error", "data", "no row has anything to learn")
        return
    ordered = sorted(counts.lengths)
    median, most = (
        ordered[len(ordered) // 2],
        ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    )
    text = f"tokens a row: median {median:,}, 99% {most:,}, longest {ordered[-1]:,}"
    if tokenizer is None:
        text = text.replace("tokens a row", "tokens a row, estimated from characters")
    if counts.over:
        share, row = counts.over / len(ordered), params.row_tokens
        done = "continued in the next row after" if params.trainer == "default" else "cut at"
        text += f" · {counts.over:,} rows ({share:.1%}) {done} {row:,} (--block-size)"
    yield Finding("ok", "data", text)
    if counts.long:
        rows = "1 row is" if counts.long == 1 else f"{counts.long:,} rows are"
        text = f"{rows} very long: only the beginning was counted, {LOOKED_AT:,} characters"
        yield Finding("ok", "data", text)


def _nothing(train: Examples, counts: Counts, params: LlmParams) -> Iterable[Finding]:
    """Find that there is nothing to learn at all, however many rows there are."""
    if not counts.lengths:
        return  # said already
    only_answers = params.trainer == "sft" and params.completion_only_loss
    if only_answers and train.silent == len(train.examples):
        text = "no row has an assistant turn, so there is nothing to learn"
        yield Finding("error", "data", text, fix="--trainer default learns every token")
    elif not counts.pieces:
        text = "no row has anything to learn within a training row: answers begin later than that"
        yield Finding("error", "data", text, fix="a larger --block-size")


def _not_held_out(splits: Splits, valid_rows: object, params: LlmParams) -> Iterable[Finding]:
    if params.valid_share is not None and "valid" not in splits and not valid_rows:
        text = f"--valid-split {params.valid_split}: of 1 row none can be held out for validation"
        yield Finding("error", "data", text, fix="more rows, or leave --valid-split out")


def _loss(train: Examples, params: LlmParams, how: Speech) -> Finding:
    chat = train.layout.kind in {"messages", "instruction"}
    answers = train.layout.kind == "prompt"
    if params.trainer == "default" or not params.completion_only_loss or not (chat or answers):
        text = "loss on all tokens"
    elif chat:
        text = "loss on assistant turns only, end of turn included"
    else:
        text = "loss on completions only, end of text included"
    if chat:
        ours = params.chat_template in {"chatml", "zephyr"}
        text += (
            f" · template: {params.chat_template}" if ours else " · template: the tokenizer's own"
        )
    elif not params.add_eos_token and not answers:
        text += " · no end-of-text token (--add-eos-token)"
    elif how.eos is None:
        return Finding("warn", "data", text + " · the tokenizer has no end-of-text token")
    return Finding("ok", "data", text)


def _oddities(train: Examples, counts: Counts, params: LlmParams) -> Iterable[Finding]:
    if train.empty:
        n = len(train.empty)
        rows = "1 row is empty and will be left out: line " if n == 1 else (
            f"{n:,} rows are empty and will be left out: lines "
        )  # fmt: skip
        yield Finding("warn", "data", rows + _shown(train.empty))
    if train.duplicates:
        yield Finding("warn", "data", f"{_rows(train.duplicates)} the same as an earlier one")
    if 0 < train.silent < len(train.examples) and params.trainer == "sft":
        text = f"{_rows(train.silent)} without an assistant turn: nothing to learn there"
        yield Finding("warn", "data", text)
    if train.lost_turns:
        text = (
            f"{train.lost_turns:,} assistant turns are not learned: they cannot be told from "
            "the rest of what the template writes"
        )
        yield Finding("warn", "data", text, fix="--chat-template chatml")
    if train.ends and train.turn_end is None and len(train.examples) > train.silent:
        text = "no special token ends the assistant's turns: the model does not learn to stop"
        yield Finding("warn", "data", text, fix="--chat-template chatml")
    if counts.unlearned > train.silent:
        text = f"{_rows(counts.unlearned)} left out: nothing to learn within a training row"
        yield Finding("warn", "data", text, fix="--block-size")


def _unused(train: Examples, params: LlmParams) -> Iterable[Finding]:
    if params.chat_template and train.examples and not train.ends:
        what = "prompts and completions" if train.layout.kind == "prompt" else "texts"
        text = (
            f"--chat-template {params.chat_template} is not used: {train.layout.source} has {what} "
            "and no messages"
        )
        yield Finding("warn", "data", text, fix="--text-column with a column of messages")


def _shortened(asked: LlmParams, params: LlmParams) -> Iterable[Finding]:
    if asked.row_tokens > params.row_tokens and asked.row_tokens != AUTO_BLOCK:
        text = f"{params.model} sees {params.row_tokens:,} tokens at most: rows are made that long"
        yield Finding("warn", "data", text)


def _plan(rows: float, steps: int, params: LlmParams) -> str:
    packed = "packed rows" if params.packing else "rows"
    batch = params.batch_size * params.gradient_accumulation
    epochs = f"{params.epochs:g} epoch{'s' * (params.epochs != 1)}"
    return (
        f"{round(rows):,} {packed} of up to {params.row_tokens:,} tokens · "
        f"{epochs}, {batch} a step: {steps:,} steps"
    )


def _few_steps(steps: int, params: LlmParams) -> Iterable[Finding]:
    if steps >= FEW_STEPS:
        return
    text = f"only {steps} optimizer step{'s' * (steps != 1)}: a model hardly learns in so few"
    if params.max_steps is None:
        epochs = math.ceil(params.epochs * FEW_STEPS / steps)
        yield Finding("warn", "data", text, fix=f"--epochs {epochs}")
    else:
        yield Finding("warn", "data", text, fix=f"--max-steps {FEW_STEPS}")


def _rows(n: int) -> str:
    return "1 row is" if n == 1 else f"{n:,} rows are"


def _shown(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:SHOWN_LINES]))
    more = len(lines) - SHOWN_LINES
    return f"{shown} and {more:,} more" if more > 0 else shown
