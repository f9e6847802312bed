"""Lets a model write several answers to each of some prompts, at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from worker.engine.model import Loaded, Precision
from worker.engine.speaking import ends_of
from worker.tasks.llm.grpo.params import GrpoParams
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training.batches import evaluating
from worker.tasks.llm.training.train import padding_id


@dataclass(frozen=True, slots=True)
class Writer:
    """How answers are drawn."""

    config: GenerationConfig
    precision: Precision

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
            do_sample=True,
            temperature=own.temperature,
            top_p=own.top_p,
            top_k=own.top_k,
            use_cache=True,
            pad_token_id=padding_id(tokenizer),
            eos_token_id=_ends(loaded.model, tokenizer, turn_end),
        )
        return cls(config, loaded.precision)

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return frozenset(self.config.eos_token_id or ())

    def answers(self, model: Any, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return an answer to each prompt in tokens, its end included; the same prompt may come
        several times."""
        width = max(map(len, prompts))
        pad = int(self.config.pad_token_id)
        ids = torch.tensor([[pad] * (width - len(one)) + list(one) for one in prompts])
        seen = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
        with evaluating(model), self.precision.mixed(), _written_by(model, self.config):
            made = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=seen.to(model.device),
                generation_config=self.config,
            )
        return [self._cut(row) for row in made[:, width:].tolist()]

    def _cut(self, row: list[int]) -> list[int]:
        """Return an answer as far as its first end."""
        end = next((i for i, token in enumerate(row) if token in self.ends), len(row) - 1)
        return row[: end + 1]


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
