"""Language models: causal language modelling and supervised fine-tuning."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from worker.task import DataReport, Footprint, Measure, ModelFacts, Run, Splits, Task, python
from worker.tasks.llm import cost, trainers
from worker.tasks.llm.params import Ignored, LlmParams, Question
from worker.tasks.llm.suits import suits


class LlmTask(Task[LlmParams]):
    """Training of causal language models."""

    name = "llm"
    help = "Train or fine-tune a language model."
    params = trainers.with_their_settings(LlmParams)
    ignored = trainers.without(Ignored, params)
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "lm-training": {},
        "llm-generic": {"trainer": "default"},
    }

    model_reads = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    unit = "tokens"
    pipeline_tag = "text-generation"
    auto_class = "AutoModelForCausalLM"
    question = Question

    def idle(self, params: LlmParams) -> Mapping[str, str]:
        """Return the settings of other trainers."""
        return trainers.idle_beside(params.trainer)

    def suits(self, params: LlmParams, facts: ModelFacts) -> None:
        """Refuse what is no causal language model."""
        trainers.of(params).suits(params, facts)

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read examples as training will, and count their tokens."""
        return trainers.of(params).inspect(params, splits, facts, tokenizer)

    def endless(self, facts: ModelFacts) -> tuple[str, str]:
        """Suspect the chat template, which is a program that a stranger wrote."""
        return (
            f"the chat template of {facts.name} does not end, or the rows are too large for it",
            "--chat-template chatml, another model, or smaller rows",
        )

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory as the trainer has it, by default by the shape of the model."""
        return trainers.of(params).footprint(params, facts, data, memory)

    def flops(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training."""
        return trainers.of(params).flops(params, facts, data)

    def pushed_bytes(self, params: LlmParams, stored: float) -> float:
        """Return the size of an adapter where only that is pushed."""
        return cost.ADAPTER_BYTES if params.adapter_alone else stored

    def shown(self, params: LlmParams) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        always = {
            "trainer": params.trainer,
            "peft": params.peft,
            "lr": params.peak_lr,
            "epochs": params.epochs,
            "batch_size": params.batch_size,
            "gradient_accumulation": params.gradient_accumulation,
            "model_max_length": params.model_max_length,
        }
        lora = {"lora_r": params.lora_r, "lora_alpha": params.lora_alpha} if params.peft else {}
        return {**always, **lora, "scheduler": params.scheduler, "seed": params.seed}

    def relief(self, params: LlmParams) -> str:
        """Return what makes a training smaller, and changes what comes out the least."""
        smaller = [f"--batch-size {params.batch_size // 2}"] if params.batch_size > 1 else []
        smaller.append("a smaller --block-size")
        smaller += [] if params.peft else ["--peft"]
        smaller += [] if params.quantization else ["--quantization int4"]
        *first, last = [*smaller, "a smaller model"][:3]
        return f"{', '.join(first)} or {last}"

    def measures(self, params: LlmParams) -> tuple[Measure, ...]:
        """Return what the trainer measures."""
        return trainers.of(params).measures(params)

    def try_it(self, model: str) -> str:
        """Return a question to the model."""
        return f'hubtrain llm --inference --model {shlex.quote(model)} --prompt "…"'

    def loading(self, model: str, *, adapter: bool) -> str:
        """Return the Python that loads model and tokenizer, of an adapter through peft."""
        kind, name = self.auto_class, json.dumps(model)
        imports = [f"from transformers import {kind}, AutoTokenizer"]
        if adapter:
            kind = "AutoPeftModelForCausalLM"
            imports = [
                f"from peft import {kind}",
                "from transformers import AutoTokenizer, GenerationConfig",
            ]
        # Without it an adapter stops where its base model does, not where its answers end.
        stops = [f"model.generation_config = GenerationConfig.from_pretrained({name})"]
        return python(
            *imports,
            "",
            f"model = {kind}.from_pretrained({name})",
            *(stops if adapter else ()),
            f"tokenizer = AutoTokenizer.from_pretrained({name})",
        )

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what is no causal language model."""
        suits(facts)

    def answer(self, model: str, question: Question) -> str:
        """Return what the model says to a prompt."""
        from worker.tasks.llm.generate import answer

        code = question.trust_remote_code
        return answer(model, question.prompt, question.max_new_tokens, trust_remote_code=code)

    def libraries(self, params: LlmParams) -> Collection[str]:
        """Return what the trainer imports."""
        return trainers.of(params).libraries

    def train(self, params: LlmParams, run: Run) -> None:
        """Train as the trainer does."""
        trainers.of(params).train(params, run)


TASK = LlmTask()
