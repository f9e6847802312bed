"""Answers with a label each, as pairs: every answer beside another prompt's answer to its prompt.

Which other one is drawn once, within batches of a fixed order, so that what stands beside the
answers of a batch are the same answers (KTO, arXiv 2402.01306, section 4.1).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from worker.errors import BadData
from worker.reading import load
from worker.splits import Row, Split
from worker.task import Run
from worker.tasks.llm.data import Examples, Speech, read, text_end, training_split
from worker.tasks.llm.pairs.data import Limits, PairTokens, within
from worker.tasks.llm.pairs.training.batches import CollatePairs, PairRows, Reference
from worker.tasks.llm.pairs.training.corpus import PairCorpus
from worker.tasks.llm.pairs.training.train import Ways
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Tokens, encode
from worker.tasks.llm.training.corpus import speech_of
from worker.tasks.llm.verdicts import told_of


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer behind its prompt, and whether it is a good one."""

    tokens: Tokens
    good: bool

    @property
    def begins(self) -> int:
        """Where the answer begins."""
        return self.tokens.learned.find(1)


@dataclass(frozen=True, slots=True)
class CollateVerdicts(CollatePairs):
    """Makes a batch of judged answers, as of pairs, with `good` for each."""

    def __call__(self, pairs: Sequence[tuple[PairTokens, Reference]]) -> dict[str, Any]:
        """Return what `CollatePairs` does, and whether the answers are good ones."""
        good = torch.tensor([pair.good for pair, _ in pairs])
        return {**CollatePairs.__call__(self, pairs), "good": good}


def tokenized(params: LlmParams, own: Any, run: Run, tokenizer: Any) -> PairCorpus:
    """Return the answers of `run.data` in tokens. Raises `BadData` where there are none."""
    how, backend = speech_of(params, tokenizer)
    splits = load(run.data)
    train_rows, valid_rows = training_split(splits, params)
    split = splits["train"]
    found, judged = _read(split, params, how, backend, train_rows)
    _, held_out = _read(splits.get("valid", split), params, how, backend, valid_rows)
    if not judged:
        raise BadData(f"No row of {split.source} has an answer to learn from.")
    random.Random(params.seed).shuffle(judged)
    most = (params.max_steps or 0) * params.batch_size * params.gradient_accumulation or None
    return PairCorpus(
        PairRows(beside_others(judged[:most], params)),
        PairRows(beside_others(held_out, params)),
        template=how.template.source if found.ends and how.template else None,
        turn_end=found.turn_end,
    )


def _read(
    split: Split, params: LlmParams, how: Speech, tokenizer: Any, rows: Sequence[tuple[int, Row]]
) -> tuple[Examples, list[Judged]]:
    found = read(split, params, how, rows)
    found.broken.refuse(split.source)
    good = [told for _, told in told_of(found)]
    encoded = encode(found.examples, tokenizer, text_end(params, how, tokenizer))
    cut = (within(tokens, Limits(params.row_tokens)) for tokens in encoded)
    both = zip(cut, good, strict=True)
    return found, [Judged(tokens, told) for tokens, told in both if tokens]


def beside_others(judged: Sequence[Judged], params: LlmParams) -> list[PairTokens]:
    """Return each answer beside the one before it in its batch, to the same prompt."""
    found: list[PairTokens] = []
    for group in _batches(judged, params.batch_size):
        found += (
            PairTokens(one.tokens, _answering(one, other, params.row_tokens), one.good)
            for one, other in zip(group, [group[-1], *group[:-1]], strict=True)
        )
    return found


def _batches(judged: Sequence[Judged], size: int) -> Iterator[Sequence[Judged]]:
    """Yield groups of two at least, as far as there are so many: the last may be larger."""
    if not judged:
        return
    size = max(2, size)
    ends = [*range(size, len(judged) - 1, size), len(judged)]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        yield judged[start:end]


def _answering(one: Judged, other: Judged, row: int) -> Tokens:
    """Return the prompt of one with the answer of another, at most `row` tokens."""
    prompt = one.tokens.cut(0, one.begins)
    return prompt.then(other.tokens.cut(other.begins, len(other.tokens))).cut(0, row)


WAYS = Ways(
    read=tokenized, collate=CollateVerdicts, arguments={"train_sampling_strategy": "sequential"}
)
