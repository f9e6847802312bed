"""What pretraining would make of the data, counted before anything is rented."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from worker.bars import by_length
from worker.families.text.lengths import CHARACTERS_A_TOKEN
from worker.splits import Splits
from worker.task import DataReport, Finding
from worker.tasks.pretraining.params import TEST_TOKENS, PretrainingParams
from worker.tasks.pretraining.texts import texts_in
from worker.tasks.pretraining.translated import as_llm

FEW = 50
"""Steps below which the user is told."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the texts."""

    source: str
    lengths: list[int]
    """Of those that were looked at, in tokens."""

    scale: float
    """How many times as many there are."""

    a_pass: int
    """Tokens of all of them."""


def inspect(params: PretrainingParams, splits: Splits) -> DataReport:
    """Return what training would make of the texts. Raises `BadData`.

    Tokens are estimated: the tokenizer may be yet to be trained.
    """
    split = splits["train"]
    rows = list(split.rows)
    lengths = [
        max(2, round(len(text) / CHARACTERS_A_TOKEN)) + 1
        for text in texts_in(rows, split.columns, as_llm(params), split.source)
    ]
    scale = max(1.0, params.taken(split.total) / len(rows)) if rows else 1.0
    a_pass = round(sum(lengths) * scale * (1 - (params.valid_share or 0)))
    if params.test == "true":
        a_pass = min(a_pass, TEST_TOKENS)
    steps = steps_of(params, math.ceil(a_pass / params.max_length))
    tokens = tokens_of(params, steps, a_pass)
    known = Known(split.source, lengths, scale, a_pass)
    found = tuple(_findings(params, known, steps, tokens))
    held = round(len(lengths) * scale * (params.valid_share or 0))
    valid = splits["valid"].total if "valid" in splits else held
    return DataReport(
        found,
        rows=round(len(lengths) * scale) - held,
        valid_rows=valid,
        units=a_pass,
        steps=steps,
        bars=(by_length("Texts by tokens, estimated", lengths, scale),),
    )


def steps_of(params: PretrainingParams, rows: int) -> int:
    """Return the steps of a training with so many packed rows a pass: whichever ends it first."""
    batch = params.batch_size * params.gradient_accumulation
    ends = [
        math.ceil(int(params.epochs * rows) / batch),
        params.num_training_tokens // params.tokens_a_step,
        params.max_steps or math.inf,
    ]
    return int(max(1, min(ends)))


def tokens_of(params: PretrainingParams, steps: int, a_pass: int) -> int:
    """Return the tokens of a training of so many steps, on data with so many tokens a pass."""
    return min(steps * params.tokens_a_step, round(a_pass * params.epochs))


def _findings(
    params: PretrainingParams, known: Known, steps: int, tokens: int
) -> Iterator[Finding]:
    if not known.lengths:
        yield Finding("error", "data", f"no row of {known.source} has a text to learn")
        return
    about, texts = "" if known.scale == 1 else "about ", round(len(known.lengths) * known.scale)
    yield Finding(
        "ok",
        "data",
        f"{known.source} · {about}{texts:,} texts · about {known.a_pass:,} tokens a pass, median "
        f"{round(median(known.lengths)):,} a text, estimated from characters",
    )
    passes = tokens / max(1, known.a_pass)
    yield Finding(
        "ok",
        "data",
        f"{tokens:,} tokens to train on, {passes:,.2g} pass{'es' * (passes != 1)} over the data · "
        f"{params.tokens_a_step:,} a step: {steps:,} step{'s' * (steps != 1)} · ends at "
        f"{_end(params, steps)}",
    )
    if params.tokenizer is None:
        yield Finding("ok", "data", "a byte-level tokenizer is trained on the texts first")
    if steps < FEW:
        many = "s" * (steps != 1)
        text = f"only {steps} step{many}: a model that begins with nothing learns little"
        yield Finding("warn", "data", text, "more data, or a smaller --batch-size")


def _end(params: PretrainingParams, steps: int) -> str:
    if params.max_steps == steps:
        return f"--max-steps {steps}"
    if params.num_training_tokens // params.tokens_a_step <= steps:
        return f"--num-training-tokens {params.num_training_tokens:,}"
    return f"--num-epochs {params.epochs:g}"
