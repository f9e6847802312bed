"""Loads a model to be evaluated: the base before training, or what training made."""

from __future__ import annotations

from typing import Any

import torch

from worker.contract import ModelRef
from worker.engine import devices
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.task import Run
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training import harness


def evaluate(params: LlmParams, run: Run, step: int) -> None:
    """Evaluate `run.base` before the first step, if that is asked, or what lies in `run.output`.

    Raises `BadConfig` before training for tasks that there are not, and otherwise what loading and
    lm-eval raise.
    """
    if not step:
        harness.check(params, run)
    if not step and not params.lm_eval_before:
        return
    with phase(run.emit, "loading the model to evaluate"):
        model, tokenizer = loaded(params, run.base if not step else ModelRef(name=str(run.output)))
    harness.evaluate(params, run, model, tokenizer, step)


def loaded(params: LlmParams, ref: ModelRef) -> tuple[Any, Any]:
    """Return a model, or an adapter on its base, in its own precision, with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = Source(ref, AutoModelForCausalLM, params.trust_remote_code)
    model = source.load(dtype="auto").eval().to(devices.device())
    if devices.device() == "cpu" and model.dtype == torch.float16:
        model = model.float()
    return model, source.processor(AutoTokenizer)
