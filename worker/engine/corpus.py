"""A job's examples in tokens, ready to be laid out in rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.engine.splits import load
from worker.errors import BadConfig, BadData
from worker.splits import Row, Split
from worker.task import Run
from worker.tasks.llm.data import Speech, read, speech, training_split
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.report import token_id
from worker.tasks.llm.tokens import Tokens, cut, encode


@dataclass(frozen=True, slots=True)
class Corpus:
    """The examples in tokens, each at most a training row long."""

    train: list[Tokens]
    valid: list[Tokens]
    template: str | None
    """The chat template they were written with."""

    turn_end: int | None
    """The token conversations end with."""


def tokenized(params: LlmParams, run: Run, tokenizer: Any) -> Corpus:
    """Return the examples of `run.data` in tokens. Raises `BadData` where there are none."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise BadConfig(f"{params.model} has a tokenizer that cannot say where its tokens stand.")
    backend.no_truncation()
    backend.no_padding()
    how = speech(params, tokenizer.special_tokens_map, _template_of(tokenizer), backend)
    splits = load(run.data)
    train_rows, valid_rows = training_split(splits, params)
    train_split = splits["train"]
    train, chats = _tokens(train_split, train_rows, params, how, backend)
    valid, _ = _tokens(splits.get("valid", train_split), valid_rows, params, how, backend)
    if not train:
        raise BadData(f"No row of {train_split.source} has anything to learn.")
    return Corpus(
        train,
        valid,
        template=how.template.source if chats and how.template else None,
        turn_end=_turn_end(train) if chats else None,
    )


def _turn_end(examples: Sequence[Tokens]) -> int:
    """Return the token that most often is the last one learned."""
    last = Counter(tokens.ids[tokens.learned.rindex(1)] for tokens in examples)
    return last.most_common(1)[0][0]


def _tokens(
    split: Split,
    rows: Sequence[tuple[int, Row]],
    params: LlmParams,
    how: Speech,
    backend: Any,
) -> tuple[list[Tokens], bool]:
    """Return the training pieces of `rows`, and whether they are conversations."""
    if not rows:
        return [], False
    found = read(split, params, how, rows)
    encoded = encode(found.examples, backend, token_id(backend, how.eos))
    return list(_pieces(encoded, params)), found.layout.kind == "messages"


def _pieces(encoded: Iterable[Tokens], params: LlmParams) -> Iterable[Tokens]:
    for tokens in encoded:
        yield from cut(tokens, params.row_tokens, keep_all=params.trainer == "default")


def _template_of(tokenizer: Any) -> str | None:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default") or next(iter(template.values()), None)
    return template or None
