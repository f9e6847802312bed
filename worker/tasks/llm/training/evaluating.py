"""Loads a model to be evaluated: the base before training, or what training made."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch

from worker.contract import ModelRef
from worker.engine import devices
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.errors import BadConfig
from worker.families.finished import facts_of
from worker.paths import ref_of
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.evaluation import LmEvalRequest
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
        ref = run.base if not step else ModelRef(name=str(run.output))
        model, tokenizer = loaded(ref, trusted=params.trust_remote_code)
    harness.evaluate(params, run, model, tokenizer, step)


def evaluate_here(asked: LmEvalRequest) -> dict[str, Any]:
    """Evaluate a model on this machine; returns its results by task and measure.

    Raises `BadConfig` for tasks that there are not, and a model that does not go on with a text.
    """
    head = trainers.head_of(facts_of(asked.model))
    if not head.goes_on:
        raise BadConfig(
            f"{asked.model} is a {head.called}, and lm-eval asks models that go on with a text."
        )
    harness.refuse_unknown(asked.lm_eval_tasks)
    tasks = harness.wanted(asked.lm_eval_tasks)
    pulse = harness.Pulse(lambda event: None, threading.Event())
    parts = loaded(ref_of(asked.model), trusted=asked.trust_remote_code)
    model = harness.watched(*parts, asked.lm_eval_batch_size, pulse)
    results = [one for found in harness.answered(asked, tasks, model) for one in found]
    told: dict[str, Any] = {"model": asked.model}
    told |= {f"{one.task} {one.measure}": round(one.value, 4) for one in results}
    if asked.output_file:
        file = Path(asked.output_file).expanduser()
        harness.write(results, file)
        told["results"] = str(file)
    return told


def loaded(ref: ModelRef, *, trusted: bool) -> tuple[Any, Any]:
    """Return a model, or an adapter on its base, in its own precision, with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = Source(ref, AutoModelForCausalLM, trusted)
    model = source.load(dtype="auto").eval().to(devices.device())
    if devices.device() == "cpu" and model.dtype == torch.float16:
        model = model.float()
    return model, source.processor(AutoTokenizer)
