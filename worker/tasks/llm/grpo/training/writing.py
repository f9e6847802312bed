"""Lets a model write several answers to each of some prompts, at once.

What is drawn is decided by numbers that belong to the answer. transformers would draw from the
chance of the process: other answers, wherever a step is divided in another way or goes on later.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from worker.engine.model import Loaded, Precision
from worker.engine.speaking import ends_of
from worker.tasks.llm.grpo.params import GrpoParams
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training.batches import evaluating
from worker.tasks.llm.training.train import padding_id


class Drawn(LogitsProcessor):  # type: ignore[misc]
    """Leaves of all tokens those that are drawn, by numbers from 0 to 1, (answers, tokens)."""

    def __init__(self, numbers: torch.Tensor, start: int) -> None:
        self.numbers, self.start = numbers, start
        """Tokens before the first that is drawn."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return logits (answers, vocabulary) of which each row has one token left."""
        up_to = scores.softmax(-1).cumsum(-1)
        number = self.numbers[:, input_ids.shape[1] - self.start, None] * up_to[:, -1:]
        token = torch.searchsorted(up_to, number, right=True).clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)


def numbers(seed: str, count: int) -> torch.Tensor:
    """Return so many numbers from 0 to below 1, the same for the same seed."""
    chance = torch.Generator().manual_seed(random.Random(seed).getrandbits(63))
    return torch.rand(count, generator=chance)


@dataclass(frozen=True, slots=True)
class Writer:
    """How answers are drawn."""

    config: GenerationConfig
    precision: Precision
    narrowing: Sequence[LogitsProcessor]
    """What is done to logits before a token is drawn."""

    @classmethod
    def of(
        cls,
        params: LlmParams,
        own: GrpoParams,
        loaded: Loaded,
        tokenizer: Any,
        turn_end: str | None,
    ) -> Writer:
        """Return how a model draws answers: from what it puts out, and nothing that its publisher
        recommends, since what is learned is what was drawn."""
        config = GenerationConfig(
            max_new_tokens=own.answer_tokens(params.row_tokens),
            do_sample=False,  # only what is drawn is left to choose from
            use_cache=True,
            pad_token_id=padding_id(tokenizer),
            eos_token_id=_ends(loaded.model, tokenizer, turn_end),
        )
        return cls(config, loaded.precision, list(_narrowing(own)))

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return frozenset(self.config.eos_token_id or ())

    def answers(
        self, model: Any, prompts: Sequence[Sequence[int]], seeds: Sequence[str]
    ) -> list[list[int]]:
        """Return an answer to each prompt in tokens, its end included, drawn by its seed; the same
        prompt may come several times."""
        if not prompts:
            return []
        width = max(map(len, prompts))
        pad = int(self.config.pad_token_id)
        ids = torch.tensor([[pad] * (width - len(one)) + list(one) for one in prompts])
        seen = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
        longest = int(self.config.max_new_tokens)
        drawn = torch.stack([numbers(seed, longest) for seed in seeds]).to(model.device)
        with evaluating(model), self.precision.mixed(), _written_by(model, self.config):
            made = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=seen.to(model.device),
                generation_config=self.config,
                logits_processor=LogitsProcessorList([*self.narrowing, Drawn(drawn, width)]),
            )
        return [self._cut(row) for row in made[:, width:].tolist()]

    def _cut(self, row: list[int]) -> list[int]:
        """Return an answer as far as its first end."""
        end = next((i for i, token in enumerate(row) if token in self.ends), len(row) - 1)
        return row[: end + 1]


def _narrowing(own: GrpoParams) -> Iterator[LogitsProcessor]:
    """Yield what transformers does to logits where it draws itself, in its order."""
    if own.temperature != 1.0:
        yield TemperatureLogitsWarper(own.temperature)
    if own.top_k:
        yield TopKLogitsWarper(own.top_k)
    if own.top_p < 1.0:
        yield TopPLogitsWarper(own.top_p)


def _ends(model: Any, tokenizer: Any, turn_end: str | None) -> list[int] | None:
    found = ends_of(model.generation_config)
    if tokenizer.eos_token_id is not None:
        found.append(tokenizer.eos_token_id)
    end = tokenizer.convert_tokens_to_ids(turn_end) if turn_end else None
    if isinstance(end, int) and end != tokenizer.unk_token_id:
        found.append(end)
    return list(dict.fromkeys(found)) or None


@contextmanager
def _written_by(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Let a model write by `config` alone: transformers fills what is left open there from its own.

    An adapter hands its own to the model within.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    kept = [(one, one.generation_config) for one in dict.fromkeys((model, inner))]
    for one, _ in kept:
        one.generation_config = config
    try:
        yield
    finally:
        for one, own in kept:
            one.generation_config = own
