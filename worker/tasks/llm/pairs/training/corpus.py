"""A job's pairs in tokens."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from worker.errors import BadData
from worker.reading import load
from worker.splits import Row, Split
from worker.task import Run
from worker.tasks.llm.data import Speech, text_end, training_split
from worker.tasks.llm.pairs.data import PairExamples, PairTokens, encoded, fitted, limits_of, read
from worker.tasks.llm.pairs.params import Pairs
from worker.tasks.llm.pairs.training.batches import PairRows
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Tokens
from worker.tasks.llm.training.corpus import speech_of


@dataclass(frozen=True, slots=True)
class PairCorpus:
    """The pairs that are trained on, and those that judge."""

    train: PairRows
    valid: PairRows
    template: str | None
    """The chat template they were written with."""

    turn_end: str | None
    """The token that ends the assistant's turns, in conversations."""

    @property
    def largest(self) -> int:
        """Tokens of the largest pair that is trained on."""
        return max(map(len, self.train.pairs))

    @property
    def good_answers(self) -> Iterator[Tokens]:
        """Answers that are said to be good, behind their prompts: of the pairs that judge."""
        judging = self.valid if self.valid.pairs else self.train
        return (pair.chosen for pair in judging.pairs if pair.good)

    @property
    def sets(self) -> tuple[PairRows, PairRows]:
        """All of them."""
        return self.train, self.valid


def tokenized(params: LlmParams, own: Pairs, run: Run, tokenizer: Any) -> PairCorpus:
    """Return the pairs of `run.data` in tokens. Raises `BadData` where there are none."""
    how, backend = speech_of(params, tokenizer)
    splits = load(run.data)
    train_rows, valid_rows = training_split(splits, params)
    split = splits["train"]
    reading = _Reading(params, own, how, backend)
    train, pairs = reading.pairs(split, train_rows)
    _, held_out = reading.pairs(splits.get("valid", split), valid_rows)
    if not pairs:
        raise BadData(f"No row of {split.source} has two answers that differ.")
    return PairCorpus(
        PairRows(_needed(pairs, params)),
        PairRows(held_out),
        template=how.template.source if train.chosen.ends and how.template else None,
        turn_end=train.chosen.turn_end,
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    params: LlmParams
    own: Pairs
    how: Speech
    tokenizer: Any

    def pairs(
        self, split: Split, rows: Iterable[tuple[int, Row]]
    ) -> tuple[PairExamples, list[PairTokens]]:
        found = read(split, self.params, self.own, self.how, rows)
        found.refuse()
        return found, list(self._tokens(found))

    def _tokens(self, found: PairExamples) -> Iterator[PairTokens]:
        limits = limits_of(self.params, self.own)
        eos = text_end(self.params, self.how, self.tokenizer)
        for pair in encoded(found, self.tokenizer, eos):
            if kept := fitted(*pair, limits):
                yield kept


def _needed(pairs: list[PairTokens], params: LlmParams) -> list[PairTokens]:
    """Return the pairs that so many steps come to: nothing is asked about the others."""
    most = (params.max_steps or 0) * params.batch_size * params.gradient_accumulation
    if not most or most >= len(pairs):
        return pairs
    return random.Random(params.seed).sample(pairs, most)
