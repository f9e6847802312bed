"""Language models: causal language modelling and supervised fine-tuning."""

from __future__ import annotations

from worker.task import Run, Task
from worker.tasks.llm.cost import flops, footprint
from worker.tasks.llm.params import Ignored, LlmParams
from worker.tasks.llm.report import inspect
from worker.tasks.llm.suits import suits


def train(params: LlmParams, run: Run) -> None:
    """Train as `params` say, leaving the model in `run.output`."""
    from worker.engine.lean import importing

    with importing():
        from worker.engine.llm import train as train_llm

    train_llm(params, run)


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
    suits=suits,
    requirements=("llm",),
    pipeline_tag="text-generation",
    auto_class="AutoModelForCausalLM",
    try_it='hubtrain llm --inference --model {model} --prompt "…"',
)
