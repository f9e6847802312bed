"""Supervised fine-tuning: what the assistant says is learned, and what it answers to is given."""

from __future__ import annotations

from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.trainers._sampling import Sampling
from worker.tasks.llm.trainers._texts import TextTrainer


class SftParams(Sampling):
    """Trainer sft."""

    completion_only_loss: bool = True
    """Learn only answers where the data has prompts or user turns (sft)."""


class Sft(TextTrainer[SftParams]):
    """Learns answers, from messages or prompts."""

    name = "sft"
    help = "learns answers, from messages or prompts"
    settings = SftParams
    instead = "--trainer default learns every token"

    def only_answers(self, params: LlmParams) -> bool:
        """Learn answers alone, unless told otherwise."""
        return self.own(params).completion_only_loss


TRAINER = Sft()
