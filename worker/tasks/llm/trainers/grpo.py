"""Group relative policy optimisation: answers that score well are made likelier (arXiv 2402.03300).

The model answers each prompt several times; what is learned of an answer is how much better it
scores than the others to the same prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from worker.importing import importing
from worker.task import DataReport, Footprint, Measure, ModelFacts, Run, Sample, Splits
from worker.tasks.llm.grpo.params import NAME, GrpoParams
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.samples import REWARDS, SMALL, prompts
from worker.tasks.llm.trainer import Trainer


class Grpo(Trainer[GrpoParams]):
    """Learns from rewards for what the model itself answers."""

    name = NAME
    help = "learns from rewards for what the model answers"
    settings = GrpoParams
    unused: ClassVar[Mapping[str, str]] = {
        "auto_find_batch_size": "answers of a step are so many to each prompt.",
        "completion_column": "the model writes the answers itself.",
        "add_eos_token": "answers end where the model ends them.",
    }

    def sample(self) -> Sample:
        """Return prompts, and functions that score what is answered."""
        how = {**SMALL, "reward_funcs": ["rewards.py"], "max_completion_length": 32}
        made = Sample.of_rows("prompts.jsonl", prompts(), **how)
        return replace(made, files={**made.files, "rewards.py": REWARDS})

    def only_answers(self, params: LlmParams) -> bool:
        """Learn answers; prompts are given."""
        return True

    def files(self, params: LlmParams) -> tuple[str, ...]:
        """Return the files of reward functions."""
        return self.own(params).files

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read prompts as training will, and count their tokens."""
        from worker.tasks.llm.grpo import report

        return report.inspect(params, self.own(params), splits, facts, tokenizer)

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory of writing answers and of learning them, the larger."""
        from worker.tasks.llm.grpo import cost

        return cost.footprint(params, self.own(params), facts, data, memory)

    def flops(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic, that of writing answers included."""
        from worker.tasks.llm.grpo import cost

        return cost.flops(params, self.own(params), facts, data)

    def seconds(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return how long answers take to write, one token after the other."""
        from worker.tasks.llm.grpo import cost

        return cost.seconds(params, self.own(params), facts, data)

    def measures(self, params: LlmParams) -> tuple[Measure, ...]:
        """Return the mean reward."""
        return (Measure("valid_reward", "higher"), Measure("reward", "higher"))

    def train(self, params: LlmParams, run: Run) -> None:
        """Train on prompts: answer, score, learn."""
        with importing():
            from worker.tasks.llm.grpo.training.train import train

        train(params, self.own(params), run)


TRAINER = Grpo()
