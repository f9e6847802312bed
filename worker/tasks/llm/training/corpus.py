"""A job's examples in tokens, ready to be laid out in rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from worker.errors import BadConfig, BadData
from worker.reading import load
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.data import Examples, Speech, read, speech, text_end, training_split
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Tokens, encode, special_ids


@dataclass(frozen=True, slots=True)
class Corpus:
    """The examples in tokens, each at most a training row long."""

    train: list[Tokens]
    valid: list[Tokens]
    template: str | None
    """The chat template they were written with."""

    turn_end: str | None
    """The token that ends the assistant's turns, in conversations."""


def tokenized(params: LlmParams, run: Run, tokenizer: Any) -> Corpus:
    """Return the examples of `run.data` in tokens. Raises `BadData` where there are none."""
    how, backend = speech_of(params, tokenizer)
    splits = load(run.data)
    train_rows, valid_rows = training_split(splits, params)
    train_split = splits["train"]
    train = read(train_split, params, how, train_rows)
    pieces = list(_pieces(train, params, how, backend))
    valid = read(splits.get("valid", train_split), params, how, valid_rows) if valid_rows else None
    for found in filter(None, (train, valid)):
        found.broken.refuse(found.layout.source)
    if not pieces:
        raise BadData(f"No row of {train_split.source} has anything to learn.")
    return Corpus(
        pieces,
        list(_pieces(valid, params, how, backend)) if valid else [],
        template=how.template.source if train.ends and how.template else None,
        turn_end=train.turn_end,
    )


def speech_of(params: LlmParams, tokenizer: Any) -> tuple[Speech, Any]:
    """Return how the model is spoken to, and the `tokenizers.Tokenizer` in transformers' own."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise BadConfig(f"{params.model} has a tokenizer that cannot say where its tokens stand.")
    backend.no_truncation()
    backend.no_padding()
    return speech(params, tokenizer.special_tokens_map, _template_of(tokenizer), backend), backend


def _pieces(found: Examples, params: LlmParams, how: Speech, backend: Any) -> Iterable[Tokens]:
    """Yield the training pieces of examples."""
    trainer, special = trainers.of(params), special_ids(backend)
    for tokens in encode(found.examples, backend, text_end(params, how, backend)):
        yield from trainer.pieces(tokens, params.row_tokens, special)


def _template_of(tokenizer: Any) -> str | None:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default") or next(iter(template.values()), None)
    return template or None
