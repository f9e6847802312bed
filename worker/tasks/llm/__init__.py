"""Language models: causal language modelling and supervised fine-tuning."""

from __future__ import annotations

from typing import Any

from worker.task import Run, Task
from worker.tasks.llm.cost import flops, footprint
from worker.tasks.llm.params import Ignored, LlmParams
from worker.tasks.llm.report import inspect
from worker.tasks.llm.suits import suits


def train(params: LlmParams, run: Run) -> None:
    """Train as `params` say, leaving the model in `run.output`."""
    from worker.engine.lean import importing

    with importing():
        from worker.tasks.llm.training.train import train as train_llm

    train_llm(params, run)


def shown(params: LlmParams) -> dict[str, Any]:
    """Return the settings that decide most of what comes out, for the plan."""
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


TASK = Task(
    name="llm",
    help="Train or fine-tune a language model.",
    params=LlmParams,
    train=train,
    ignored=Ignored,
    also_called={"lm-training": {}, "llm-generic": {"trainer": "default"}},
    inspect=inspect,
    footprint=footprint,
    flops=flops,
    shown=shown,
    suits=suits,
    requirements=("llm",),
    pipeline_tag="text-generation",
    auto_class="AutoModelForCausalLM",
    try_it='hubtrain llm --inference --model {model} --prompt "…"',
)
