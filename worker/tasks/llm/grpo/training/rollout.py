"""A step's answers: written, scored, compared with their fellows, and laid out in passes.

Of several processes each writes its part of the answers, has its part of the prompts' answers
scored, and learns from its part of the passes; in between each of them has all.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from worker.engine import devices, processes
from worker.errors import BadData
from worker.tasks.llm import tokens
from worker.tasks.llm.grpo.prompts import Prompt
from worker.tasks.llm.grpo.training.objective import advantages
from worker.tasks.llm.grpo.training.rewards import Answers, Reward
from worker.tasks.llm.grpo.training.writing import Writer
from worker.tasks.llm.pairs.training.batches import SideBySide, part
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
    """This process's: what `SideBySide.rows` makes of them, with `advantages`, and
    log-probabilities `before` and `reference` where they are needed."""

    learned: int
    """Tokens of the answers that are learned, in all processes."""

    total: int
    """Tokens of prompts and answers, in all processes."""

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

    def __call__(self, answers: Answers, each: int, more: Mapping[str, Any]) -> Scored:
        """Return the scores; what answers the same prompt, `each` in a row, is scored together.

        Raises `BadData` where one is none, or an answer has none at all.
        """
        groups = range(0, len(answers.texts), each)

        def scored(starts: Sequence[int]) -> list[list[tuple[float | None, ...]]]:
            mine = answers.only([start + i for start in starts for i in range(each)])
            found = [reward(mine, more) for reward in self.rewards] if starts else []
            rows = list(zip(*found, strict=True))
            return [rows[i : i + each] for i in range(0, len(rows), each)]

        rows = [row for group in processes.in_parts(groups, scored) for row in group]
        scores = torch.tensor([[torch.nan if s is None else s for s in row] for row in rows])
        if scores.isnan().all(1).any():
            names = ", ".join(reward.name for reward in self.rewards)
            raise BadData(f"An answer gets no score: {names} returned None for it.")
        weighted = scores * torch.tensor(list(self.weights))
        return Scored(answers, scores, weighted.nansum(1))

    def measured(self, *scored: Scored) -> Iterator[tuple[str, float]]:
        """Yield what the rewards of all come to, by the names TRL gives it."""
        rewards = torch.cat([one.rewards for one in scored])
        yield "reward", float(rewards.mean())
        if len(rewards) > 1:
            yield "reward_std", float(rewards.std())
        of_each = torch.cat([one.scores for one in scored]).T
        for reward, scores in zip(self.rewards, of_each, strict=True):
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
    """Answers of a pass, in one process."""

    scaled_by: str = "group"
    temperature: float = 1.0
    drop_cut_off: bool = False
    """Whether nothing is learned from answers that were cut off."""

    reference: Beginning | None = None
    """None where the model as it began is not asked."""

    reused: bool = False
    """Whether several steps learn from the same answers."""

    def __call__(
        self, model: Any, asked: Sequence[Asked], seed: str, more: Mapping[str, Any], busy: Busy
    ) -> Rollout:
        """Return what `model` answers to prompts, ready to be learned from."""
        repeated = [one for one in asked for _ in range(self.each)]
        seeds = [f"{seed} {place}" for place in range(len(repeated))]
        scored = self.scored(model, repeated, seeds, more, busy, each=self.each)
        ids = scored.answers.ids
        gains = advantages(scored.rewards, self.each, self.scaled_by)
        ended = [answer[-1] in self.writer.ends for answer in ids]
        sequences = [
            _sequence(one.ids, answer, learned=end or not self.drop_cut_off)
            for one, answer, end in zip(repeated, ids, ended, strict=True)
        ]
        starts = range(0, len(sequences), self.batch)
        passes = [
            self._pass(model, sequences[i : i + self.batch], gains[i : i + self.batch])
            for i in starts[processes.rank() :: processes.count()]
        ]
        alike = scored.rewards.view(-1, self.each).std(1) == 0
        return Rollout(
            passes,
            learned=sum(sum(one.learned) for one in sequences),
            total=sum(map(len, sequences)),
            measured={
                **dict(self.judges.measured(scored)),
                "frac_reward_zero_std": float(alike.float().mean()),
                "completions/mean_length": sum(map(len, ids)) / len(ids),
                "completions/clipped_ratio": 1 - sum(ended) / len(ended),
            },
        )

    def scored(
        self,
        model: Any,
        asked: Sequence[Asked],
        seeds: Sequence[str],
        more: Mapping[str, Any],
        busy: Busy,
        *,
        each: int = 1,
    ) -> Scored:
        """Return an answer to each prompt, drawn by its seed, and its scores.

        The same prompt comes `each` times in a row.
        """

        def written(places: Sequence[int]) -> list[list[int]]:
            prompts = [asked[i].ids for i in places]
            return self.writer.answers(model, prompts, [seeds[i] for i in places])

        with busy("writing answers"):
            ids = processes.in_parts(range(len(asked)), written)
        texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        with busy("scoring answers"):
            return self.judges(Answers([one.prompt for one in asked], texts, ids), each, more)

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
