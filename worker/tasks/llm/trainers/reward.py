"""Reward models: a score that is higher for better answers, learned from pairs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from annotated_types import Ge

from worker.facts import ModelFacts
from worker.importing import importing
from worker.task import DataReport, Footprint, Run
from worker.tasks.llm.heads.score import SCORE
from worker.tasks.llm.pairs.params import Pairs
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.trainers._pairs import PairTrainer
from worker.tasks.llm.trainers._sampling import Sampling


class RewardParams(Pairs, Sampling):
    """Trainer reward."""

    whole: ClassVar[bool] = True

    reward_centering: Annotated[float, Ge(0)] = 0.0
    """How strongly scores are held around 0; 0.01 is usual where they are compared (reward)."""


class Reward(PairTrainer[RewardParams]):
    """Learns one number for how good an answer is, from better and worse answers to a prompt."""

    name = "reward"
    help = "learns to score answers, from pairs of them"
    settings = RewardParams
    head = SCORE
    ends_texts = False
    unused: ClassVar[Mapping[str, str]] = {
        "add_eos_token": "texts end as the tokenizer has it, which is how they are scored later.",
        "packing": "each answer is scored in a row of its own.",
        "padding": "a score is read at the end of an answer, whichever side is padded.",
    }

    def learns(self, params: LlmParams) -> str:
        """Return that two scores are compared."""
        return "the difference of two scores, each read at the end of an answer"

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory of two answers a row, of which no token is predicted."""
        from worker.tasks.llm.pairs import cost

        padded = replace(data, largest=2 * data.largest)  # both answers take the longer one's room
        return cost.footprint(params, facts, padded, memory, predicted=0.0)

    def train(self, params: LlmParams, run: Run) -> None:
        """Train on `run.data`, tell `run.emit` how it goes, leave the model in `run.output`."""
        with importing():
            from worker.tasks.llm.pairs.training.ranking import train

        own = self.own(params)
        train(params, own, run, centering=own.reward_centering)


TRAINER = Reward()
