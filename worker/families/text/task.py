"""What tasks have in common whose models say something of a text. Light."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from worker.common import Lora
from worker.families.heads import check_head, check_learned
from worker.families.text import cost
from worker.families.text.kinds import SEQUENCES, check_kind
from worker.families.text.params import TextSettings
from worker.task import DataReport, Footprint, ModelFacts, Task, python

P = TypeVar("P", bound=TextSettings)


class TextTask(Task[P]):
    """A task on texts: its cost, and what a plan shows of it."""

    model_reads = ("tokenizer.json",)
    fixed: ClassVar[tuple[str, ...]] = ("trust_remote_code",)

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
            "lr": params.peak_lr,
            "epochs": params.epochs,
            "batch_size": params.batch_size,
            "gradient_accumulation": params.gradient_accumulation,
            "scheduler": params.scheduler,
            "seed": params.seed,
        }

    def memory_advice(self, params: P) -> str:
        """Return what makes a training smaller."""
        half, twice = params.batch_size // 2, params.gradient_accumulation * 2
        smaller = [f"--batch-size {half} --gradient-accumulation {twice}"] if half else []
        smaller += ["--peft"] if isinstance(params, Lora) and not params.peft else []
        return " or ".join([*smaller, f"--max-seq-length {max(16, params.max_seq_length // 2)}"])


class SequenceTask(TextTask[P]):
    """A task whose models say something of a whole text, as sequence classifiers do."""

    pipeline: ClassVar[str] = "text-classification"
    """The task of the Hub, which is also that of transformers' pipeline."""

    does: ClassVar[str]
    """What they do, after `to`: tell texts apart."""

    numbers: ClassVar[bool] = False
    """Whether they tell numbers, and no classes."""

    def pipeline_tag(self, params: P) -> str:
        """Return what the model does."""
        return self.pipeline

    def check_model(self, params: P, facts: ModelFacts) -> None:
        """Refuse what has no head for a text."""
        check_kind(facts, SEQUENCES, "AutoModelForSequenceClassification", self.does)

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what has no head for a text."""
        check_kind(facts, SEQUENCES, "AutoModelForSequenceClassification", self.does)
        check_head(facts, "ForSequenceClassification", self.does)
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
