"""What tasks have in common whose models say something of a text. Light."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypeVar

from worker.common import Lora
from worker.families.heads import check_head, check_learned
from worker.families.kinds import check_kind
from worker.families.text import cost
from worker.families.text.kinds import ENCODER, SEQUENCES, UNSUITED
from worker.families.text.params import TextSettings
from worker.families.usual import shown, smaller_batches
from worker.task import DataReport, Footprint, ModelFacts, Task, python

P = TypeVar("P", bound=TextSettings)


class TextTask(Task[P]):
    """A task on texts: its cost, and what a plan shows of it."""

    model_reads = ("tokenizer.json",)
    fixed: ClassVar[tuple[str, ...]] = ("trust_remote_code",)

    pipeline: ClassVar[str]
    """What its models do, in the Hub's words, which are also those of transformers' pipelines."""

    def pipeline_tag(self, params: P) -> str:
        """Return what the model does."""
        return self.pipeline

    def trains_together(self, params: P) -> bool:
        """Return that several processes can."""
        return True

    def unit(self, params: P) -> str:
        """Count texts."""
        return "texts"

    def unused(self, params: P) -> Mapping[str, str]:
        """Return the settings that texts have no use for."""
        said = "texts are trained with all activations kept; memory is saved by --batch-size."
        return {"disable_gradient_checkpointing": said}

    def footprint(
        self, params: P, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory by the shape of the model: see `cost`."""
        return cost.footprint(params, facts, data.longest)

    def flops(self, params: P, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training: see `cost`."""
        return cost.flops(params, facts, data)

    def shown(self, params: P) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        return {
            **({"peft": params.peft} if isinstance(params, Lora) else {}),
            "max_seq_length": params.max_seq_length,
            **shown(params),
        }

    def memory_advice(self, params: P) -> str:
        """Return what makes a training smaller."""
        smaller = smaller_batches(params)
        smaller += ["--peft"] if isinstance(params, Lora) and not params.peft else []
        return " or ".join([*smaller, f"--max-seq-length {max(16, params.max_seq_length // 2)}"])


class HeadTask(TextTask[P]):
    """A task whose models have a head of their own: sequence classifiers, taggers, …"""

    extras: ClassVar[tuple[str, ...]] = ("text",)

    head: ClassVar[str]
    """What their classes are called behind `For`: TokenClassification."""

    kinds: ClassVar[Collection[str]]
    """Kinds that transformers loads with such a head."""

    does: ClassVar[str]
    """What they do, after `to`: tell texts apart."""

    def check_model(self, params: P, facts: ModelFacts) -> None:
        """Refuse what has no such head."""
        self._check_kind(facts)

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what has no such head, or was trained with another."""
        self._check_kind(facts)
        check_head(facts, f"For{self.head}", self.does)

    def _check_kind(self, facts: ModelFacts) -> None:
        why = f"it has no head to {self.does}"
        fix = f"--model with one that does, such as {ENCODER}"
        check_kind(facts, self.kinds, f"AutoModelFor{self.head}", why, fix, unsuited=UNSUITED)


class SequenceTask(HeadTask[P]):
    """A task whose models say something of a whole text, as sequence classifiers do."""

    pipeline = "text-classification"
    head = "SequenceClassification"
    kinds = SEQUENCES

    numbers: ClassVar[bool] = False
    """Whether they tell numbers, and no classes."""

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse also what tells classes where numbers are asked for, or numbers for classes."""
        super().can_answer(facts)
        other = "text-classification" if self.numbers else "text-regression"
        check_learned(facts, number=self.numbers, other=other)

    def try_it(self, params: P, model: str) -> str:
        """Return a question to the model."""
        command = self.name.replace("_", "-")
        return f"hubtrain {command} --inference --model {shlex.quote(model)} --text …"

    def loading(self, params: P, model: str, *, adapter: bool) -> str:
        """Return the Python that asks the model of a text."""
        return python(
            "from transformers import pipeline",
            "",
            f'ask = pipeline("{self.pipeline}", model={json.dumps(model)})',
            'ask("A text.", truncation=True)',
        )
