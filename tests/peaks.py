"""Trains small models, each in a process of its own, and prints what was estimated and taken.

Imports all that is heavy once and forks for each training: not a test, `test_memory` runs it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_llm
import tiny_vit

from worker.contract import DataRef
from worker.reading import load
from worker.task import DataReport, Footprint, ModelFacts, Run
from worker.tasks import load as task_of

LLAMA = {
    "vocab_size": 16_000,
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
STEPS: dict[str, Any] = {"batch_size": 2, "gradient_accumulation": 1, "save_strategy": "no"}
LANGUAGE: dict[str, dict[str, Any]] = {
    "sft": {"trainer": "sft"},
    "lora": {"trainer": "sft", "peft": True, "batch_size": 4},
    "dpo": {"trainer": "dpo"},
    "orpo": {"trainer": "orpo"},
    "reward": {"trainer": "reward"},
}


def write_models(folder: Path) -> None:
    """Write the models, in a process whose memory nobody measures."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tiny_llm.tokenizer().save_pretrained(folder / "llama")
    LlamaForCausalLM(LlamaConfig(**LLAMA)).save_pretrained(folder / "llama")
    sizes = {"hidden_size": 384, "num_hidden_layers": 8, "num_attention_heads": 6}
    patches = {"intermediate_size": 1536, "image_size": 224, "patch_size": 16}
    tiny_vit.write_model(folder / "vit", **sizes, **patches)
    size = folder / "vit" / "preprocessor_config.json"
    told = json.loads(size.read_text()) | {"size": {"height": 224, "width": 224}}
    size.write_text(json.dumps(told))


def language(folder: Path, name: str) -> Footprint:
    """Train a Llama of 23 M parameters on full rows; return the estimate."""
    rows = tiny_llm.write_rows(folder / "rows" / f"{name}.jsonl", _rows(name))
    how = {**STEPS, "block_size": 512, "max_steps": 2, **LANGUAGE[name]}
    params, run, _ = tiny_llm.job(folder / "llama", rows, folder / name, **how)
    run.output.mkdir(parents=True)
    run.work.mkdir()
    return _trained("llm", params, run, ModelFacts("m", _count(folder / "llama"), 4.0, LLAMA))


def pretraining(folder: Path, name: str) -> Footprint:
    """Pretrain llama_60m for two steps with GaLore; return the estimate."""
    texts = [{"text": f"the quick brown fox number {i} jumps " * 60} for i in range(40)]
    rows = tiny_llm.write_rows(folder / "rows" / "texts.jsonl", texts)
    how: dict[str, Any] = {
        "mode": "pretraining",
        "model": "llama_60m",
        "optimizer": "galore",
        "dtype": "bf16",
    }
    how |= {"batch_size": 2, "max_length": 256, "max_steps": 2, "data_path": str(rows)}
    params = task_of("pretraining").params(**how)
    return _trained("pretraining", params, _run(folder / name, rows), ModelFacts("", 0))


def image_classification(folder: Path, name: str) -> Footprint:
    """Train a ViT on images of its full size; return the estimate."""
    data = tiny_vit.write_table(folder / "rows" / "colours.parquet", 8)
    how = {**STEPS, "max_steps": 2, "batch_size": 8}
    params, run, _ = tiny_vit.job(folder / "vit", data, folder / name, **how)
    config = json.loads((folder / "vit" / "config.json").read_text())
    count = _count(folder / "vit")
    return _trained("image_classification", params, run, ModelFacts("v", count, 4.0, config))


def _rows(name: str) -> list[dict[str, Any]]:
    if name in {"sft", "lora"}:
        return [{"text": "the quick brown fox " * 120}] * 12
    answers = {"chosen": " the quick brown fox" * 60, "rejected": " a lazy dog" * 60}
    return [{"prompt": "say", **answers}] * 12


def _count(model: Path) -> int:
    """Return the parameters of a model in 32 bits."""
    return (model / "model.safetensors").stat().st_size // 4


def _run(folder: Path, rows: Path) -> Run:
    for part in ("output", "work"):
        (folder / part).mkdir(parents=True)
    data = DataRef(folder=str(rows.parent), train=(rows.name,))
    return Run(None, data, folder / "output", folder / "work", lambda _: None)


def _trained(task: str, params: Any, run: Run, facts: ModelFacts) -> Footprint:
    known = task_of(task)
    report = DataReport()
    if task == "llm" and run.model:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(f"{run.model.name}/tokenizer.json")
        report = known.inspect(params, load(run.data), facts, tokenizer)
    found = known.footprint(params, facts, report, 24e9)
    known.train(params, run)
    return found


CASES: dict[str, Callable[[Path, str], Footprint]] = {
    **dict.fromkeys(LANGUAGE, language),
    "pretraining": pretraining,
    "image_classification": image_classification,
}


def measure(folder: Path, name: str) -> None:
    """Train in a child, which prints its name, low, high and peak in bytes."""
    if child := os.fork():
        os.waitpid(child, 0)
        return
    code = 1
    try:
        found = CASES[name](folder, name)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([name, found.low, found.high, peak]), flush=True)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main(folder: Path) -> None:
    """Measure all."""
    import peft  # noqa: F401
    from transformers import Trainer  # noqa: F401

    for name in CASES:
        measure(folder, name)


if __name__ == "__main__":
    {"write": write_models, "measure": main}[sys.argv[1]](Path(sys.argv[2]))
