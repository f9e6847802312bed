"""KTO: answers of which each is said to be good or bad, without another to compare it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from annotated_types import Gt

from worker.importing import importing
from worker.splits import Row
from worker.task import DataReport, Footprint, Measure, ModelFacts, Run, Sample, Splits
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.samples import SMALL, verdicts
from worker.tasks.llm.trainer import Trainer
from worker.tasks.llm.trainers._pairs import PREFERRED
from worker.tasks.llm.trainers._sampling import Sampling


class KtoParams(Sampling):
    """Trainer kto."""

    label_column: str = "label"
    """Column that says whether an answer is good: true or false (kto)."""

    kto_beta: Annotated[float, Gt(0)] = 0.1
    """How near to the reference model it stays: the larger, the nearer (kto)."""

    kto_desirable_weight: Annotated[float, Gt(0)] = 1.0
    """Weight of good answers, where there are fewer of them (kto)."""

    kto_undesirable_weight: Annotated[float, Gt(0)] = 1.0
    """Weight of bad answers, where there are fewer of them (kto)."""


class Kto(Trainer[KtoParams]):
    """Makes good answers likelier and bad ones less likely, near the model as it begins."""

    name = "kto"
    help = "learns from answers that are each good or bad"
    settings = KtoParams
    unused: ClassVar[Mapping[str, str]] = {
        "model_ref": "it stays near the model as it begins.",
    }

    def sample(self) -> Sample:
        """Return answers that are each good or bad."""
        return Sample.of_rows("verdicts.jsonl", verdicts(), **SMALL)

    def only_answers(self, params: LlmParams) -> bool:
        """Judge answers; prompts are given."""
        return True

    def learns(self, params: LlmParams) -> str:
        """Return what is compared."""
        return "answers alone, against the model as it begins"

    def layout(self, columns: Sequence[str], first: Row, params: LlmParams, source: str) -> Any:
        """Return where prompts, answers and labels are."""
        from worker.tasks.llm.verdicts import layout_of

        return layout_of(columns, first, params, self.own(params).label_column, source)

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read answers as training will, each in a row of its own, and count their labels."""
        from worker.tasks.llm import report, verdicts

        alone = params.model_copy(update={"packing": False})
        found, examples = report.inspected(alone, splits, facts, tokenizer)
        return replace(
            found,
            findings=(*found.findings, *verdicts.balance(examples)),
            units=2 * found.units,  # each prompt is also looked at with another's answer
            example=verdicts.noted(found.example, examples),
        )

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory of an answer, and of another's to the same prompt."""
        from worker.tasks.llm.pairs import cost

        return cost.footprint(params, facts, data, memory)

    def flops(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic, the reference model's included."""
        from worker.tasks.llm.pairs import cost

        return cost.flops(params, facts, data, reference=True)

    def measures(self, params: LlmParams) -> tuple[Measure, ...]:
        """Return how often an answer is on its right side."""
        return PREFERRED

    def train(self, params: LlmParams, run: Run) -> None:
        """Train on answers, once the model has been asked about all of them."""
        with importing():
            from worker.tasks.llm.pairs.training import objectives, verdicts
            from worker.tasks.llm.pairs.training.train import train

        own = self.own(params)
        objective = objectives.Kto(
            own.kto_beta, own.kto_desirable_weight, own.kto_undesirable_weight
        )
        train(params, own, run, objective, ways=verdicts.WAYS)


TRAINER = Kto()
