"""What trainers on pairs of answers share: reading them, and telling before what comes of it."""

from __future__ import annotations

from typing import Any, TypeVar

from worker.task import DataReport, ModelFacts, Splits
from worker.tasks.llm.pairs.params import Pairs
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.trainer import Trainer

S = TypeVar("S", bound=Pairs)


class PairTrainer(Trainer[S]):
    """Learns from a better and a worse answer to the same prompt, as far as it says nothing else.

    `train` is a subclass's own.
    """

    def only_answers(self, params: LlmParams) -> bool:
        """Compare answers; prompts are given."""
        return True

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read pairs as training will, and count their tokens."""
        from worker.tasks.llm.pairs import report

        return report.inspect(params, self.own(params), splits, facts, tokenizer)
