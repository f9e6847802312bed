"""A whole job on files in one folder, for trying an installation: model, data, and `job.json`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import tiny_llm

from worker.contract import (
    EVENTS_FILE,
    JOB_FILE,
    DataRef,
    Event,
    Finished,
    JobSpec,
    Machine,
    Metric,
    ModelRef,
    from_line,
)

ROWS = 24


def write(folder: Path, *, seen_as: Path | None = None, **settings: Any) -> JobSpec:
    """Write a fine-tuning job of a few steps into `folder`, which the worker sees as `seen_as`.

    Its model is to be in `folder / "out"`.
    """
    there = seen_as or folder
    _in_half_precision(tiny_llm.write_model(folder / "model"))
    tiny_llm.write_rows(folder / "data" / "train.jsonl", tiny_llm.chats(ROWS))
    model, data = str(there / "model"), there / "data"
    params = {"model": model, "data_path": str(data), "trainer": "sft", "block_size": 64}
    job = JobSpec(
        job_id="k4x7qp",
        project="small-job",
        task="llm",
        params={**params, "lr": 1e-3, "logging_steps": 1, **settings},
        model=ModelRef(name=model),
        data=DataRef(folder=str(data), train=("train.jsonl",), rows=ROWS),
        output=str(there / "out"),
        machine=Machine(backend="local"),
    )
    (folder / JOB_FILE).write_text(job.model_dump_json(), encoding="utf-8")
    return job


def _in_half_precision(model: Path) -> None:
    """Write a model's weights anew in bfloat16, as most models are published."""
    import torch
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).save_pretrained(model)


def environment(there: Path) -> dict[str, str]:
    """Return what tells a worker where its job is, and that no Hub is needed."""
    return {
        "HUBTRAIN_JOB_FILE": str(there / JOB_FILE),
        "HUBTRAIN_WORK": str(there / "work"),
        "HF_HUB_OFFLINE": "1",
    }


def check(folder: Path) -> list[float]:
    """Return the losses of the job in `folder`, or raise what is wrong with its end."""
    lines = (folder / "work" / EVENTS_FILE).read_text(encoding="utf-8").split("\n")
    events: list[Event] = [event for line in lines if (event := from_line(line))]
    losses = [e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values]
    assert isinstance(events[-1], Finished), f"the job did not finish: {events[-1]}"
    assert losses and all(map(math.isfinite, losses)), f"losses that mean nothing: {losses}"
    kept = sorted(f.name for f in (folder / "out").iterdir())
    assert any(name.endswith(".safetensors") for name in kept), f"no model: {kept}"
    assert json.loads((folder / "out" / "tokenizer_config.json").read_text(encoding="utf-8"))
    return losses
