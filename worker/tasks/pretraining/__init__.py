"""Language models from nothing, by the flags of the `train.py` that GaLore's users know.

It builds on `worker.tasks.llm`: what it adds is a model without weights, a tokenizer made from the
data, and data read as a stream. Fine-tuning is that of `llm`, under these flags.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from worker.families.text.shape import Shape
from worker.session import Session
from worker.task import DataReport, Footprint, Measure, ModelFacts, Run, Sample, Splits, Task
from worker.tasks.llm import TASK as LLM
from worker.tasks.llm import cost, samples
from worker.tasks.llm.params import Question
from worker.tasks.pretraining import models, report
from worker.tasks.pretraining.params import PretrainingParams
from worker.tasks.pretraining.translated import as_llm

STORED, MOVED = 4.0, 12.0
"""Bytes of a weight as it is pushed; and of its gradient and AdamW's two moments."""


class PretrainingTask(Task[PretrainingParams]):
    """Training of language models that begin with random weights, or with published ones."""

    name = "pretraining"
    help = "Pretrain a language model; short: hubtrain train."
    params = PretrainingParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {"train": {}}
    command = "train"
    extras = ("llm",)

    model_reads = LLM.model_reads
    question = Question

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return texts, and a model that learns a few thousand tokens of them."""
        how = {"mode": "pretraining", "model": "llama_60m", "optimizer": "galore"}
        small = {"num_training_tokens": 5000, "max_length": 64, "batch_size": 4}
        return Sample.of_rows("texts.jsonl", samples.texts(), **how, **small)

    def base(self, params: PretrainingParams) -> str | None:
        """Return the published model in finetuning."""
        return None if params.fresh else models.HUB[params.model]

    def needs_token(self, params: PretrainingParams) -> bool:
        """Return whether its rows are fetched as they are read, or its tracker needs one."""
        return params.fresh or super().needs_token(params)

    def project(self, params: PretrainingParams) -> str:
        """Name the job after what is trained, and how."""
        return f"{params.model}-{params.optimizer}".replace("_", "-").replace("+", "-")

    def unused(self, params: PretrainingParams) -> Mapping[str, str]:
        """Return what another mode or another optimizer would use."""
        found = {"peft": "--optimizer lora trains adapters, and the others do not."}
        if not params.peft:
            found["lora_config"] = "only the optimizers with lora have it."
        if not params.low_rank:
            found["galore_config"] = "only the optimizers with galore have it."
        if params.fresh:
            found["merge_adapter"] = "in pretraining an adapter is always merged in."
        else:
            only = "only --mode pretraining has it."
            found |= {"num_training_tokens": only, "tokenizer": only}
        return found

    def unit(self, params: PretrainingParams) -> str:
        """Count tokens."""
        return LLM.unit(as_llm(params))

    def pipeline_tag(self, params: PretrainingParams) -> str:
        """Return what the model does: go on with a text, or fill gaps."""
        return LLM.pipeline_tag(as_llm(params))

    def check_model(self, params: PretrainingParams, facts: ModelFacts) -> None:
        """Refuse what is not the model it should be."""
        LLM.check_model(as_llm(params), facts)

    def inspect(
        self, params: PretrainingParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read texts as training will, and count their tokens."""
        if params.fresh:
            return report.inspect(params, splits)
        return LLM.inspect(as_llm(params), splits, facts, tokenizer)

    def footprint(
        self,
        params: PretrainingParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return the memory; of a fresh model also embeddings and output move beside adapters."""
        found = LLM.footprint(as_llm(params), self._facts(params, facts), data, memory)
        if not (params.fresh and params.peft):
            return found
        shape = Shape.of(models.config(params.model))
        more = MOVED * 2 * shape.vocabulary * shape.hidden
        low, expected, high = found.low + more, found.expected + more, found.high + more
        return replace(found, low=low, expected=expected, high=high)

    def flops(self, params: PretrainingParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training."""
        if params.fresh:
            tokens = report.tokens_of(params, data.steps, data.units)
            return cost.flops_of(as_llm(params), self._facts(params, facts), tokens)
        return LLM.flops(as_llm(params), facts, data)

    def _facts(self, params: PretrainingParams, facts: ModelFacts) -> ModelFacts:
        return models.facts(params.model, params.max_length) if params.fresh else facts

    def pushed_bytes(self, params: PretrainingParams, stored: float) -> float:
        """Return the size of the weights, in 32 bits."""
        if params.fresh:
            return STORED * models.facts(params.model).parameters
        return LLM.pushed_bytes(as_llm(params), stored)

    def shown(self, params: PretrainingParams) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        names = ["mode", "model", "optimizer", "lr", "epochs", "batch_size", "max_length", "dtype"]
        names += ["num_training_tokens"] if params.fresh else []
        names += ["lora_r", "lora_alpha"] if params.peft else []
        names += ["optim_rank", "update_proj_gap", "optim_scale"] if params.low_rank else []
        return {name: getattr(params, name) for name in (*names, "tmax", "seed")}

    def memory_advice(self, params: PretrainingParams) -> str:
        """Return what makes a training smaller."""
        return "a smaller --batch-size with --gradient-accumulation, or a smaller --max-length"

    def measures(self, params: PretrainingParams) -> tuple[Measure, ...]:
        """Return the losses."""
        return LLM.measures(as_llm(params))

    def try_it(self, params: PretrainingParams, model: str) -> str:
        """Return a question to the model."""
        return LLM.try_it(as_llm(params), model)

    def loading(self, params: PretrainingParams, model: str, *, adapter: bool) -> str:
        """Return the Python that loads model and tokenizer."""
        return LLM.loading(as_llm(params), model, adapter=adapter)

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what is no language model."""
        LLM.can_answer(facts)

    def session(self, model: str, question: Question, stop: threading.Event) -> Session | None:
        """Return the model where it goes on with a text."""
        return LLM.session(model, question, stop)

    def answer(self, model: str, question: Question) -> Any:
        """Return what the model puts out for a prompt."""
        return LLM.answer(model, question)

    def libraries(self, params: PretrainingParams) -> Collection[str]:
        """Return what the trainer imports."""
        return LLM.libraries(as_llm(params))

    def training(self) -> Callable[[PretrainingParams, Run], object]:
        """Return what trains a fresh model, or fine-tunes a published one as `llm` does."""
        from worker.tasks.pretraining.training.train import train

        return train


TASK = PretrainingTask()
