"""Odds ratio preference optimisation: better answers are learned and preferred in one go."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from annotated_types import Gt

from worker.importing import importing
from worker.task import DataReport, Finding, ModelFacts, Run, Splits
from worker.tasks.llm.pairs.params import Lengths, Pairs
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.trainers._pairs import PairTrainer
from worker.tasks.llm.trainers._sampling import Sampling


class OrpoParams(Pairs, Lengths, Sampling):
    """Trainer orpo."""

    orpo_beta: Annotated[float, Gt(0)] = 0.1
    """How much the preference counts beside the text itself: its authors' lambda (orpo)."""


class Orpo(PairTrainer[OrpoParams]):
    """Learns better answers as text, and their odds over those of worse ones."""

    name = "orpo"
    help = "learns from pairs of answers, without a reference model"
    settings = OrpoParams

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Say, too, that texts are learned."""
        found = super().inspect(params, splits, facts, tokenizer)
        text = "prompts and better answers are also learned as text, as its authors do"
        return replace(found, findings=(*found.findings, Finding("ok", "data", text)))

    def train(self, params: LlmParams, run: Run) -> None:
        """Train on pairs."""
        with importing():
            from worker.tasks.llm.pairs.training import objectives
            from worker.tasks.llm.pairs.training.train import train

        own = self.own(params)
        train(params, own, run, objectives.Orpo(own.orpo_beta))


TRAINER = Orpo()
