"""How fast a GPU trains language models: tokens a second, against a loop by hand and against TRL.

    python -m benchmarks gpu                        everything, on a machine with CUDA
    python -m benchmarks.gpu --only full,lora       only contestants whose names begin so

All train the same model of random weights, shaped as one that is published, on the same texts
packed into rows of 2,048 tokens, 2 rows a pass and 4 passes a step. The loop by hand has the same
precision, the same kernels and nothing else. The contestants import side by side, each in a process
of its own, and have the GPU one after another.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._job import run_on
from benchmarks._model import facts_of, write, write_data
from benchmarks._turns import MEMORY, Child, Clock, in_turn, leave, your_turn
from worker.contract import Event, Progress
from worker.task import Run
from worker.tasks.llm import cost
from worker.tasks.llm.params import LlmParams

SECONDS = 240
ROW_TOKENS = 2048
ROWS, PASSES = 2, 4
STEPS, WARM = 12, 3
GOAL = 0.95
DEVICE = "cuda"
PEAK = 989e12
"""Dense 16-bit operations a second of an H100 or H200, from NVIDIA's data sheet."""

SHAPES: dict[str, dict[str, Any]] = {
    "1b": {  # Llama-3.2-1B
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "rope_theta": 500000.0,
    },
    "3b": {  # Qwen2.5-3B
        "model_type": "qwen2",
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "rope_theta": 1000000.0,
    },
}
SAME = {
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}

SETTINGS: dict[str, Any] = {
    "trainer": "sft",
    "block_size": ROW_TOKENS,
    "batch_size": ROWS,
    "gradient_accumulation": PASSES,
    "max_steps": STEPS,
    "lr": 1e-5,
    "logging_steps": 10,
    "save_strategy": "no",
}


def ours(model: Path, data: Path, **settings: Any) -> dict[str, float]:
    """Train as the worker does."""
    from worker.engine.lean import leave_out, unused

    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.step >= WARM:
            clock.tick(event.units)

    params, run = _job(model, data, tell, **settings)
    leave_out(unused(params))

    from worker.tasks.llm.training.train import train

    clock = Clock(DEVICE)
    your_turn(DEVICE)
    train(params, run)
    return _found(clock)


def by_hand(
    model: Path,
    data: Path,
    *,
    rows: int = ROWS,
    passes: int = PASSES,
    pure: bool = False,
    recompute: bool = False,
    **settings: Any,
) -> dict[str, float]:
    """Train in a plain loop; `pure` has weights and optimizer in bfloat16 too."""
    params, run = _job(model, data, lambda _: None, **settings)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, get_linear_schedule_with_warmup

    from worker.engine import attention
    from worker.engine.adapter import adapt
    from worker.engine.model import load
    from worker.engine.source import Source
    from worker.tasks.llm.packing import best_fit
    from worker.tasks.llm.training.batches import Collate, TrainingRows
    from worker.tasks.llm.training.corpus import tokenized

    clock = Clock(DEVICE)
    your_turn(DEVICE)
    source = Source(run.base, AutoModelForCausalLM)
    corpus = tokenized(params, run, source.processor(AutoTokenizer))
    packed = TrainingRows(corpus.train, best_fit([*map(len, corpus.train)], ROW_TOKENS))
    loaded = load(source, params)
    attention.adopt(loaded.model, lambda _: True)
    net = adapt(loaded, params, "CAUSAL_LM").model
    if pure:
        net.to(torch.bfloat16)
    if recompute:
        net.gradient_checkpointing_enable({"use_reentrant": False})
    moving = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=params.peak_lr, weight_decay=0.0, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, 2, STEPS)
    collate, seen = Collate(pad=0, flat=True), 0
    net.train()
    order = iter(torch.randperm(len(packed)).tolist())
    for step in range(1, STEPS + 1):
        for _ in range(passes):
            batch = collate([packed[next(order)] for _ in range(rows)])
            seen += batch["input_ids"].numel()
            with torch.autocast(DEVICE, torch.bfloat16, enabled=not pure):
                loss = net(**_sent(batch)).loss / passes
            loss.backward()
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step in {WARM, STEPS}:
            clock.tick(seen)
    return _found(clock)


def trl(model: Path, data: Path, *, peft: bool = False, **more: Any) -> dict[str, float]:
    """Train with TRL's SFTTrainer, packed."""
    from datasets import load_dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    adapter = None
    if peft:
        from peft import LoraConfig

        adapter = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear")
    clock = Clock(DEVICE)

    class Ticks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in {WARM, STEPS}:
                clock.tick(int(state.global_step * tokens_a_step))

    your_turn(DEVICE)
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=str(model),
            args=SFTConfig(
                output_dir=folder,
                max_length=ROW_TOKENS,
                packing=True,
                per_device_train_batch_size=ROWS,
                gradient_accumulation_steps=PASSES,
                max_steps=STEPS,
                learning_rate=1e-5,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                **more,
            ),
            train_dataset=load_dataset("json", data_files=str(data), split="train"),
            peft_config=adapter,
            callbacks=[Ticks()],
        )
        lengths = [len(row) for row in trainer.train_dataset["input_ids"]]
        tokens_a_step = ROWS * PASSES * sum(lengths) / len(lengths)
        trainer.train()
    return _found(clock)


def _found(clock: Clock) -> dict[str, float]:
    return {"tokens_a_second": clock.a_second, **clock.memory}


def _sent(batch: dict[str, Any]) -> dict[str, Any]:
    """Return the batch on the GPU, without waiting for it."""
    if DEVICE == "cpu":
        return batch
    return {
        name: x.pin_memory().to(DEVICE, non_blocking=True) if hasattr(x, "to") else x
        for name, x in batch.items()
    }


LORA = {"peft": True}
KEPT = {"gradient_checkpointing": False}
CONTESTANTS: dict[str, tuple[str, Callable[..., dict[str, float]], dict[str, Any]]] = {
    "full-ours": ("1b", ours, {}),
    "full-hand": ("1b", by_hand, {}),
    "full-hand-4x2": ("1b", by_hand, {"rows": 4, "passes": 2}),
    "full-hand-bf16": ("1b", by_hand, {"pure": True}),
    "full-trl": ("1b", trl, {}),
    "full-trl-kept": ("1b", trl, KEPT),
    "lora-ours": ("1b", ours, LORA),
    "lora-hand": ("1b", by_hand, LORA),
    "lora-hand-8x1": ("1b", by_hand, LORA | {"rows": 8, "passes": 1}),
    "lora-trl": ("1b", trl, LORA),
    "lora-trl-kept": ("1b", trl, LORA | KEPT),
    "3b-full-ours": ("3b", ours, {}),
    "3b-full-hand": ("3b", by_hand, {"recompute": True}),
    "3b-lora-ours": ("3b", ours, LORA),
    "3b-lora-hand": ("3b", by_hand, LORA),
    "3b-lora-hand-4x2": ("3b", by_hand, LORA | {"rows": 4, "passes": 2}),
}
"""Each with its shape, how it trains, and its settings."""


def _job(
    model: Path, data: Path, emit: Callable[[Event], None], **settings: Any
) -> tuple[LlmParams, Run]:
    params = LlmParams(model=str(model), data_path=str(data), **(SETTINGS | settings))
    return params, run_on(model, data, emit)


def shown(name: str, model: Path, found: dict[str, float]) -> str:
    """Return a line: speed, share of the peak, memory, and what was expected of it."""
    kept = {k: v for k, v in CONTESTANTS[name][2].items() if k in LlmParams.model_fields}
    params = LlmParams(model=str(model), data_path="-", **(SETTINGS | kept))
    facts = facts_of(model)
    speed = found["tokens_a_second"]
    share = cost.flops_of(params, facts, 1) * speed / PEAK
    line = (
        f"  {name:15} {speed:8,.0f} tokens/s, {share:.2f} of the peak; "
        f"{found['allocated'] / 1e9:.1f} GB held at most, {found['reserved'] / 1e9:.1f} GB taken"
    )
    if CONTESTANTS[name][1] is ours:
        taken = cost.enlarged(params, facts, 0.9 * MEMORY)
        guess = cost.footprint(taken, facts, MEMORY)
        sizes = " ".join(f"{size / 1e9:.1f}" for size in (guess.low, guess.expected, guess.high))
        line += f"; {taken.batch_size} rows a pass, {guess.explained}; expected {sizes}"
    return line


def main(only: str = "") -> None:
    """Print a line for each contestant, and ratios to the loop by hand."""
    import torch

    if not torch.cuda.is_available():
        print("  no GPU here: nothing measured")
        return
    names = [n for n in CONTESTANTS if not only or n.startswith(tuple(only.split(",")))]
    with tempfile.TemporaryDirectory() as there:
        folder = Path(there)
        data = write_data(folder / "data.jsonl", 800, 2000)
        children = [_child(n, folder / CONTESTANTS[n][0], data) for n in names]
        shapes = dict.fromkeys(CONTESTANTS[n][0] for n in names)
        for writer in [_written(shape, folder / shape) for shape in shapes]:
            writer.wait()
        speeds = {}
        for name, found in in_turn(children):
            print(shown(name, folder / CONTESTANTS[name][0], found), flush=True)
            speeds[name] = found["tokens_a_second"]
    _verdicts(speeds)


def _child(name: str, model: Path, data: Path) -> Child:
    return Child(name, ["benchmarks.gpu", "--child", name, str(model), str(data)])


def _written(shape: str, folder: Path) -> subprocess.Popen[bytes]:
    """Begin to write a model, in a process of its own."""
    command = ["benchmarks.gpu", "--write", shape, str(folder)]
    return subprocess.Popen([sys.executable, "-m", *command])


def _write(name: str, folder: Path) -> None:
    from transformers import AutoConfig

    write(folder, AutoConfig.for_model(**(SHAPES[name] | SAME)), "cuda")


def _is_rival(name: str, ours: str) -> bool:
    """Whether `name` trains by hand what `ours` does, in the same precision."""
    return name.startswith(ours.replace("-ours", "-hand")) and "bf16" not in name


def _verdicts(speeds: dict[str, float]) -> None:
    for name, speed in speeds.items():
        if name.endswith("-ours"):
            hands = [s for n, s in speeds.items() if _is_rival(n, name)]
            if hand := max(hands, default=0.0):
                verdict = "ok" if speed / hand >= GOAL else "TOO SLOW"
                print(f"  {name} is {speed / hand:.2f} of the loop by hand ({GOAL}) {verdict}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        how, settings = CONTESTANTS[asked.child[0]][1:]
        leave(how(Path(asked.child[1]), Path(asked.child[2]), **settings))
    elif asked.write:
        _write(asked.write[0], Path(asked.write[1]))
    else:
        main(asked.only)
