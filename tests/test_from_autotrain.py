"""`docs/from-autotrain.md` names every default that is not AutoTrain's, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from orchestrator.settings.job import JobSettings
from worker.params import Setting, settings_of
from worker.tasks.llm import TASK
from worker.tasks.llm.params import Ignored

PAGE = Path(__file__).parents[1] / "docs" / "from-autotrain.md"

AUTOTRAIN: dict[str, Any] = {
    "train_split": "train",
    "valid_split": None,
    "add_eos_token": True,
    "block_size": -1,
    "model_max_length": 2048,
    "padding": "right",
    "trainer": "default",
    "use_flash_attention_2": False,
    "log": "none",
    "disable_gradient_checkpointing": False,
    "logging_steps": -1,
    "eval_strategy": "epoch",
    "save_strategy": "no",
    "save_total_limit": 1,
    "auto_find_batch_size": False,
    "mixed_precision": None,
    "lr": 3e-5,
    "epochs": 1,
    "batch_size": 2,
    "warmup_ratio": 0.1,
    "gradient_accumulation": 4,
    "optimizer": "adamw_torch",
    "scheduler": "linear",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "seed": 42,
    "chat_template": None,
    "quantization": "int4",
    "target_modules": "all-linear",
    "merge_adapter": False,
    "peft": False,
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "prompt_text_column": None,
    "text_column": "text",
    "rejected_text_column": None,
    "model_ref": None,
    "dpo_beta": 0.1,
    "max_prompt_length": 128,
    "max_completion_length": None,
    "push_to_hub": False,
    "repo_id": None,
    "username": None,
    "distributed_backend": None,
}
"""Defaults of AutoTrain 0.8 for language models, by `trainers/clm/params.py` of its repo."""

ELSEWHERE = {"unsloth", "liger_kernel"}
"""Its other settings, and those of files about it, which do nothing here."""


def ours() -> dict[str, Setting]:
    return {s.name: s for c in (JobSettings, TASK.params) for s in settings_of(c)}


def shown(value: Any) -> str:
    return "none" if value is None else str(value)


def test_every_setting_autotrain_had_is_there() -> None:
    assert set(AUTOTRAIN) <= set(ours())
    assert set(Ignored.model_fields) == ELSEWHERE


def test_the_page_lists_every_changed_default_and_no_other() -> None:
    changed = {
        name: (shown(was), shown(ours()[name].default))
        for name, was in AUTOTRAIN.items()
        if ours()[name].default != was
    }
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \| `(\S+)` \| .+ \|$", PAGE.read_text(), re.M)
    assert {name: (theirs, own) for name, theirs, own in rows} == changed
