"""What the check says of the examples: counts in words, each with what to type where it matters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from worker.shorten import some
from worker.splits import Splits
from worker.task import Finding, ModelFacts
from worker.tasks.llm import trainers
from worker.tasks.llm.data import Examples, Speech
from worker.tasks.llm.params import AUTO_BLOCK, LlmParams
from worker.tasks.llm.tokens import Tokenizer

LOOKED_AT = 1 << 20
"""Characters of an example that are counted, a quarter of a million tokens or so: the rest is taken
to be like them. Counted whole, a row of 10 million tokens takes half a minute."""


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

    highest: int = -1
    """Largest id of a token; -1 where no tokenizer tells."""


def size(train: Examples, valid: Examples | None, params: LlmParams, scale: float) -> Finding:
    """How many examples there are, and of what kind."""
    held = (len(valid.examples), valid.layout.source) if valid else None
    read = train.read - len(train.empty)
    return counted(train.layout.source, read, train.layout.what, held, params=params, scale=scale)


def counted(
    source: str,
    rows: int,
    what: str,
    held: tuple[int, str] | None,
    *,
    params: LlmParams,
    scale: float,
) -> Finding:
    """How many rows there are, of what kind, and how many of which file are for validation."""
    known = "" if scale == 1 else "about "
    parts = [source, f"{known}{round(rows * scale):,} {what}"]
    if held is None:
        parts.append("no validation split (--valid-split)")
    elif params.valid_share is not None:
        parts.append(f"{params.valid_share:.0%} held out for validation (--valid-split)")
    else:
        parts.append(f"{held[0]:,} for validation from {held[1]}")
    return Finding("ok", "data", " · ".join(parts))


def broken(*splits: Examples | None) -> Iterable[Finding]:
    """All rows that cannot be read, by what is wrong with them."""
    for found in filter(None, splits):
        yield from found.broken.findings(found.layout.source)


def lengths(counts: Counts, params: LlmParams, tokenizer: Tokenizer | None) -> Iterable[Finding]:
    """How long they are, and what is cut."""
    if not counts.lengths:
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
        done = "continued in the next row after" if trainers.of(params).continues else "cut at"
        rows = f"{counts.over:,} row{'s' * (counts.over != 1)}"
        text += f" · {rows} ({share:.1%}) {done} {row:,} (--block-size)"
    yield Finding("ok", "data", text)
    if counts.long:
        rows = "1 row is" if counts.long == 1 else f"{counts.long:,} rows are"
        text = f"{rows} very long: only the beginning was counted, {LOOKED_AT:,} characters"
        yield Finding("ok", "data", text)


def unknown_tokens(
    counts: Counts, facts: ModelFacts, tokenizer: Tokenizer | None
) -> Iterable[Finding]:
    """Tokens for which the model has no embedding: training would end at the first of them."""
    config = facts.config.get("text_config") or facts.config
    rows = config.get("vocab_size")
    if tokenizer is None or not isinstance(rows, int) or counts.highest < rows:
        return
    token = tokenizer.id_to_token(counts.highest)
    yield Finding(
        "error",
        "model",
        f"its tokenizer makes token {counts.highest:,} of the data ({token!r}), and the model has "
        f"embeddings for {rows:,} tokens, up to {rows - 1:,}: tokens were added to one and not to "
        "the other.",
        fix="--model with one whose embeddings were resized (resize_token_embeddings)",
    )


def no_rows(train: Examples) -> Iterable[Finding]:
    """No row that could be learned from, and none that is broken."""
    if not train.examples and not train.broken:
        yield Finding("error", "data", "no row has anything to learn")


def nothing(train: Examples, counts: Counts, params: LlmParams) -> Iterable[Finding]:
    """Find that there is nothing to learn at all, however many rows there are."""
    if not counts.lengths:
        return  # said already
    trainer = trainers.of(params)
    if trainer.only_answers(params) and train.silent == len(train.examples):
        text = "no row has an assistant turn, so there is nothing to learn"
        yield Finding("error", "data", text, fix=trainer.instead)
    elif not counts.pieces:
        text = "no row has anything to learn within a training row: answers begin later than that"
        yield Finding("error", "data", text, fix="a larger --block-size")


def not_held_out(splits: Splits, valid_rows: object, params: LlmParams) -> Iterable[Finding]:
    """Validation asked for, and no row for it."""
    if params.valid_share is not None and "valid" not in splits and not valid_rows:
        text = f"--valid-split {params.valid_split}: of 1 row none can be held out for validation"
        yield Finding("error", "data", text, fix="more rows, or leave --valid-split out")


def loss(train: Examples, params: LlmParams, how: Speech) -> Finding:
    """Of what the loss is taken, and how chats are written."""
    chat = train.layout.chat
    answers = train.layout.kind == "prompt"
    trainer = trainers.of(params)
    if own := trainer.learns(params):
        text = f"loss on {own}"
    elif not trainer.only_answers(params) or not (chat or answers):
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
    elif not trainer.ends_texts:
        pass
    elif not params.add_eos_token and not answers:
        text += " · no end-of-text token (--add-eos-token)"
    elif how.eos is None:
        return Finding("warn", "data", text + " · the tokenizer has no end-of-text token")
    return Finding("ok", "data", text)


def oddities(train: Examples, counts: Counts, params: LlmParams) -> Iterable[Finding]:
    """Rows that are left out, or teach less than they seem to."""
    yield from empty(train.empty)
    if train.duplicates:
        yield Finding("warn", "data", f"{_rows(train.duplicates)} the same as an earlier one")
    if 0 < train.silent < len(train.examples) and trainers.of(params).only_answers(params):
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
    if left := [says for says, written in train.written.items() if not written]:
        text = f"the chat template does not write {' and '.join(left)}: the model never sees them"
        yield Finding("warn", "data", text, fix="--model with one whose template does, as Qwen3's")
    if counts.unlearned > train.silent:
        text = f"{_rows(counts.unlearned)} left out: nothing to learn within a training row"
        yield Finding("warn", "data", text, fix="--block-size")


def empty(lines: Sequence[int]) -> Iterable[Finding]:
    """Rows that say nothing."""
    if lines:
        where = f"line{'s' * (len(lines) != 1)} {some(lines)}"
        yield Finding("warn", "data", f"{_rows(len(lines))} empty and will be left out: {where}")


def unused(train: Examples, params: LlmParams) -> Iterable[Finding]:
    """A chat template that has no use."""
    if params.chat_template and train.examples and not train.ends:
        text = (
            f"--chat-template {params.chat_template} is not used: {train.layout.source} has texts "
            "and no messages"
        )
        yield Finding("warn", "data", text, fix="--text-column with a column of messages")


def shortened(asked: LlmParams, params: LlmParams) -> Iterable[Finding]:
    """A model that sees less than asked for."""
    if asked.row_tokens > params.row_tokens and asked.row_tokens != AUTO_BLOCK:
        text = f"{params.model} sees {params.row_tokens:,} tokens at most: rows are made that long"
        yield Finding("warn", "data", text)


def plan(rows: float, steps: int, params: LlmParams, what: str = "") -> str:
    """What the training comes to, on rows that are called `what`."""
    packed = what or ("packed rows" if params.packing else "rows")
    packed = packed.removesuffix("s") if round(rows) == 1 else packed
    batch = params.batch_size * params.gradient_accumulation
    epochs = f"{params.epochs:,g} epoch{'s' * (params.epochs != 1)}"
    return (
        f"{round(rows):,} {packed} of up to {params.row_tokens:,} tokens · "
        f"{epochs}, {batch} a step: {steps:,} step{'s' * (steps != 1)}"
    )


def _rows(n: int) -> str:
    return "1 row is" if n == 1 else f"{n:,} rows are"
