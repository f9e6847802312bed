"""What trainers on pairs of answers share: reading them, and telling before what comes of it."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from worker.task import DataReport, Footprint, Measure, ModelFacts, Sample, Splits
from worker.tasks.llm.pairs.params import Pairs
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.samples import SMALL, pairs
from worker.tasks.llm.trainer import Trainer

S = TypeVar("S", bound=Pairs)


PREFERRED = (
    Measure("valid_rewards/accuracies", "higher"),
    Measure("valid_loss"),
    Measure("rewards/accuracies", "higher"),
    Measure("loss"),
)
"""How often the better answer is preferred, the most telling first."""


class PairTrainer(Trainer[S]):
    """Learns from a better and a worse answer to the same prompt, as far as it says nothing else.

    `train` is a subclass's own.
    """

    reference: ClassVar[bool] = False
    """Whether another model looks at all pairs before training begins."""

    def sample(self) -> Sample:
        """Return pairs of answers."""
        return Sample.of_rows("pairs.jsonl", pairs(), **SMALL)

    def only_answers(self, params: LlmParams) -> bool:
        """Compare answers; prompts are given."""
        return True

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read pairs as training will, and count their tokens."""
        from worker.tasks.llm.pairs import report

        return report.inspect(params, self.own(params), splits, facts, tokenizer)

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory of two answers a row."""
        from worker.tasks.llm.pairs import cost

        return cost.footprint(params, facts, data, memory)

    def flops(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of two answers a row, a reference model's included."""
        from worker.tasks.llm.pairs import cost

        return cost.flops(params, facts, data, reference=self.reference)

    def measures(self, params: LlmParams) -> tuple[Measure, ...]:
        """Return how often the better answer is preferred, which means the same for any loss."""
        return PREFERRED
