"""A step's answers: written, scored, compared with their fellows, and laid out in passes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from worker.engine import devices
from worker.errors import BadData
from worker.tasks.llm import tokens
from worker.tasks.llm.grpo.prompts import Prompt
from worker.tasks.llm.grpo.training.objective import advantages
from worker.tasks.llm.grpo.training.rewards import Answers, Reward
from worker.tasks.llm.grpo.training.writing import Writer
from worker.tasks.llm.pairs.training.batches import NOBODY, SideBySide, part
from worker.tasks.llm.pairs.training.scores import likelihoods
from worker.tasks.llm.training.batches import evaluating

Beginning = Callable[[Any], AbstractContextManager[Any]]
"""From the model that is trained to a context with that model as it began."""

Busy = Callable[[str], AbstractContextManager[None]]
"""Tells what is going on for as long as the context lasts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt in tokens, as much of it as the model is given."""

    prompt: Prompt
    ids: array[int]


@dataclass(frozen=True, slots=True)
class Rollout:
    """The answers of a step."""

    passes: Sequence[dict[str, torch.Tensor]]
    """What `SideBySide.rows` makes of them, with `advantages`, and log-probabilities `before` and
    `reference` where they are needed."""

    learned: int
    """Tokens of the answers that are learned."""

    total: int
    """Tokens of prompts and answers."""

    measured: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers with their scores."""

    answers: Answers
    scores: torch.Tensor
    """(answers, rewards); no number where a reward has nothing to say."""

    rewards: torch.Tensor
    """Weighted sums, one for each answer."""


@dataclass(frozen=True, slots=True)
class Judges:
    """What scores answers, with weights."""

    rewards: Sequence[Reward]
    weights: Sequence[float]

    def __call__(self, answers: Answers, more: Mapping[str, Any]) -> Scored:
        """Return the scores. Raises `BadData` where one is none, or an answer has none at all."""
        found = [reward(answers, more) for reward in self.rewards]
        scores = torch.tensor([[torch.nan if s is None else s for s in row] for row in found]).T
        if scores.isnan().all(1).any():
            names = ", ".join(reward.name for reward in self.rewards)
            raise BadData(f"An answer gets no score: {names} returned None for it.")
        weighted = scores * torch.tensor(list(self.weights))
        return Scored(answers, scores, weighted.nansum(1))

    def measured(self, scored: Scored) -> Iterator[tuple[str, float]]:
        """Yield what rewards come to, by the names TRL gives it."""
        yield "reward", float(scored.rewards.mean())
        if len(scored.rewards) > 1:
            yield "reward_std", float(scored.rewards.std())
        for reward, scores in zip(self.rewards, scored.scores.T, strict=True):
            if len(said := scores[~scores.isnan()]):
                yield f"rewards/{reward.name}/mean", float(said.mean())


@dataclass(frozen=True, slots=True)
class Rollouts:
    """How a step's answers are made."""

    writer: Writer
    judges: Judges
    collate: SideBySide
    tokenizer: Any
    each: int
    """Answers to a prompt."""

    batch: int
    """Answers of a pass."""

    scaled_by: str = "group"
    temperature: float = 1.0
    drop_cut_off: bool = False
    """Whether nothing is learned from answers that were cut off."""

    reference: Beginning | None = None
    """None where the model as it began is not asked."""

    reused: bool = False
    """Whether several steps learn from the same answers."""

    def __call__(
        self, model: Any, asked: Sequence[Asked], more: Mapping[str, Any], busy: Busy
    ) -> Rollout:
        """Return what `model` answers to prompts, ready to be learned from."""
        repeated = [one for one in asked for _ in range(self.each)]
        scored = self.scored(model, repeated, more, busy)
        ids = scored.answers.ids
        gains = advantages(scored.rewards, self.each, self.scaled_by)
        ended = [answer[-1] in self.writer.ends for answer in ids]
        sequences = [
            _sequence(one.ids, answer, learned=end or not self.drop_cut_off)
            for one, answer, end in zip(repeated, ids, ended, strict=True)
        ]
        groups = range(0, len(sequences), self.batch)
        passes = [
            self._pass(model, sequences[i : i + self.batch], gains[i : i + self.batch])
            for i in groups
        ]
        alike = scored.rewards.view(-1, self.each).std(1) == 0
        return Rollout(
            passes,
            learned=sum(int((one["owners"] != NOBODY).sum()) for one in passes),
            total=sum(map(len, sequences)),
            measured={
                **dict(self.judges.measured(scored)),
                "frac_reward_zero_std": float(alike.float().mean()),
                "completions/mean_length": sum(map(len, ids)) / len(ids),
                "completions/clipped_ratio": 1 - sum(ended) / len(ended),
            },
        )

    def scored(
        self, model: Any, asked: Sequence[Asked], more: Mapping[str, Any], busy: Busy
    ) -> Scored:
        """Return an answer to each prompt, and its scores."""
        with busy("writing answers"):
            ids = self.writer.answers(model, [one.ids for one in asked])
        texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        with busy("scoring answers"):
            return self.judges(Answers([one.prompt for one in asked], texts, ids), more)

    def _pass(
        self, model: Any, sequences: Sequence[tokens.Tokens], gains: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        rows = self.collate.rows([part(one, i) for i, one in enumerate(sequences)])
        made = {name: one.to(devices.device()) for name, one in rows.items()}
        made["advantages"] = gains.to(devices.device())
        if self.reused:
            made["before"] = self._asked(model, made)
        if self.reference is not None:
            with self.reference(model) as beginning:
                made["reference"] = self._asked(beginning, made)
        return made

    def _asked(self, model: Any, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
        with evaluating(model), self.writer.precision.mixed():
            return likelihoods(model, rows, self.temperature)


def _sequence(prompt: array[int], answer: Sequence[int], *, learned: bool) -> tokens.Tokens:
    marks = bytes(len(prompt)) + bytes([int(learned)]) * len(answer)
    return tokens.Tokens(prompt + array("i", answer), marks)
