"""What trainers on texts and conversations share: reading them, and the loop over their tokens."""

from __future__ import annotations

from typing import Any, TypeVar

from worker.importing import importing
from worker.params import Params
from worker.task import DataReport, ModelFacts, Run, Splits
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.trainer import Trainer

S = TypeVar("S", bound=Params)


class TextTrainer(Trainer[S]):
    """Learns the next token of texts and conversations, as far as a subclass says nothing else."""

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read examples as training will, and count their tokens."""
        from worker.tasks.llm import report

        return report.inspect(params, splits, facts, tokenizer)

    def train(self, params: LlmParams, run: Run) -> None:
        """Train on `run.data`, tell `run.emit` how it goes, leave the model in `run.output`."""
        with importing():
            from worker.tasks.llm.training.train import train

        train(params, run)
