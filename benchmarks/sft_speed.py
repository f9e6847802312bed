"""How fast supervised fine-tuning is: tokens a second against a loop written by hand.

Both train the same small Llama on the same packed rows, in the same precision and on one thread,
each in a process of its own; the best of two runs counts. Seconds are CPU-seconds, which on one
thread are seconds of an idle machine, whatever else this one does. TRL's trainer is there for
reference: as it comes, and packed. It takes bfloat16 only where the machine is fast in it, as ours
does; elsewhere its default is many times slower.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._job import run_on
from benchmarks._model import write_data, write_model
from benchmarks._turns import QUIET
from worker.contract import Event, Progress
from worker.task import Run
from worker.tasks.llm.params import LlmParams

ROW_TOKENS = 512
SECONDS = 240
DOCUMENTS = 90
RUNS = 2
GOAL = 1.0

ENVIRONMENT = {"OMP_NUM_THREADS": "1", **QUIET}

SETTINGS: dict[str, Any] = {
    "trainer": "sft",
    "block_size": ROW_TOKENS,
    "batch_size": 1,
    "gradient_accumulation": 1,
    "lr": 1e-4,
    "save_strategy": "no",
    "disable_gradient_checkpointing": True,
}


def ours(model: Path, data: Path) -> float:
    """Return the tokens a second between the worker's first report and its last step's."""
    from worker.engine.lean import leave_out, unused

    told: list[tuple[float, int]] = []

    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            told.append((time.process_time(), event.units))

    params, run = _job(model, data, tell)
    leave_out(unused(params))
    from worker.tasks.llm.training.train import train

    train(params, run)
    return told[-1][1] / (told[-1][0] - told[0][0])


def by_hand(model: Path, data: Path) -> float:
    """Return the tokens a second of a plain loop over the same rows."""
    params, run = _job(model, data, lambda _: None)
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        get_linear_schedule_with_warmup,
    )

    from worker.engine.model import load
    from worker.engine.source import Source
    from worker.tasks.llm.packing import best_fit
    from worker.tasks.llm.training.batches import Collate, TrainingRows
    from worker.tasks.llm.training.corpus import tokenized

    source = Source(run.base, AutoModelForCausalLM)
    corpus = tokenized(params, run, source.processor(AutoTokenizer))
    rows = TrainingRows(corpus.train, best_fit([*map(len, corpus.train)], ROW_TOKENS))
    loaded = load(source, params)
    net, precision = loaded.model, loaded.precision
    optimizer = torch.optim.AdamW(net.parameters(), lr=params.peak_lr, weight_decay=0.0, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, len(rows) // 10, len(rows))
    collate, seen = Collate(pad=0), 0
    net.train()
    order = torch.randperm(len(rows)).tolist()
    began = time.process_time()
    for i in order:
        batch = collate([rows[i]])
        with torch.autocast("cpu", precision.products, enabled=precision.autocast is not None):
            loss = net(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        seen += batch["input_ids"].numel()
    return seen / (time.process_time() - began)


def trl(model: Path, data: Path, *, packing: bool) -> float:
    """Return the tokens a second of TRL's SFTTrainer, padding not counted."""
    import torch
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    class Clocked(SFTTrainer):  # type: ignore[misc]
        def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
            self.began = time.process_time()
            result = super()._inner_training_loop(*args, **kwargs)
            self.seconds = time.process_time() - self.began
            return result

    from worker.engine.devices import fast_bfloat16

    more = {"packing": True} if packing else {}
    with tempfile.TemporaryDirectory() as folder:
        trainer = Clocked(
            model=str(model),
            args=SFTConfig(
                output_dir=folder,
                max_length=ROW_TOKENS,
                per_device_train_batch_size=1 if packing else 8,
                num_train_epochs=1,
                save_strategy="no",
                report_to=[],
                use_cpu=not torch.cuda.is_available(),
                disable_tqdm=True,
                bf16=fast_bfloat16(),
                **more,
            ),
            train_dataset=load_dataset("json", data_files=str(data), split="train"),
        )
        tokens = sum(map(len, trainer.train_dataset["input_ids"]))
        trainer.train()
    return tokens / trainer.seconds


CONTESTANTS: dict[str, Callable[[Path, Path], float]] = {
    "ours": ours,
    "by_hand": by_hand,
    "trl_packed": lambda model, data: trl(model, data, packing=True),
    "trl_defaults": lambda model, data: trl(model, data, packing=False),
}


def _job(model: Path, data: Path, emit: Callable[[Event], None]) -> tuple[LlmParams, Run]:
    return LlmParams(model=str(model), data_path=str(data), **SETTINGS), run_on(model, data, emit)


def measure(
    contestant: str, model: Path, data: Path, program: str = "benchmarks.sft_speed"
) -> float:
    """Return what a contestant of `program` does a second, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", program, contestant, str(model), str(data)],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{contestant} failed:\n{done.stderr[-3000:]}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the ratio to the hand-written loop, and where TRL stands."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model", hidden=320, layers=8, vocabulary=8192)
        data = write_data(Path(folder) / "data.jsonl", DOCUMENTS)
        best = {"ours": 0.0, "by_hand": 0.0}
        for _ in range(RUNS):
            for name, speed in best.items():
                tokens = measure(name, model, data)
                print(f"  {name}: {tokens:,.0f} tokens per CPU-second")
                best[name] = max(speed, tokens)
        hand = best["by_hand"]
        ratio = best["ours"] / hand
        verdict = "ok" if ratio >= GOAL else "TOO SLOW"
        print(f"  ours is {ratio:.2f} of the loop by hand (at least {GOAL}) {verdict}")
        for name in ("trl_packed", "trl_defaults"):
            tokens = measure(name, model, data)
            print(f"  {name}: {tokens:,.0f} tokens per CPU-second, {tokens / hand:.2f} of it")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(CONTESTANTS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
