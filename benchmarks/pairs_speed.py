"""How fast preferences are learned: pairs a second of DPO and ORPO against TRL's trainers.

All train the same small Llama on the same pairs, in batches of 8, in the same precision, without
recomputing activations and on one thread, each in a process of its own; the best of two runs
counts. Seconds are CPU-seconds from the first look at the model, ours by the reference included, to
the last step. TRL's DPO has its reference model beside the one it trains. More epochs favour ours,
which asks the reference once; the goal is set for one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._job import run_on
from benchmarks._model import write_model, write_pairs
from benchmarks.sft_speed import measure
from worker.contract import Event, Phase, Progress
from worker.tasks.llm import TASK

ROW_TOKENS = 512
BATCH = 8
PAIRS = 64
SECONDS = 400
RUNS = 2
GOALS = {"dpo": 1.5, "orpo": 1.2}


def ours(trainer: str, epochs: int, model: Path, data: Path) -> float:
    """Return the pairs a second of the worker, from its look at the reference to its last step."""
    from worker.engine.lean import leave_out, unused

    told: list[float] = []

    def tell(event: Event) -> None:
        asks = isinstance(event, Phase) and "reference" in event.name
        if asks or isinstance(event, Progress):
            told.append(time.process_time())

    run = run_on(model, data, tell)
    params = TASK.params(
        model=str(model),
        data_path=str(data),
        trainer=trainer,
        epochs=epochs,
        block_size=ROW_TOKENS,
        batch_size=BATCH,
        gradient_accumulation=1,
        save_strategy="no",
        disable_gradient_checkpointing=True,
    )
    leave_out(unused(params))
    TASK.train(params, run)
    return epochs * PAIRS / (told[-1] - told[0])


def trl(trainer: str, epochs: int, model: Path, data: Path) -> float:
    """Return the pairs a second of TRL's trainer, from its first step to its last."""
    import torch
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from worker.engine.devices import fast_bfloat16

    kind, config, more = _of_trl(trainer)

    class Clocked(kind):  # type: ignore[misc, valid-type]
        def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
            self.began = time.process_time()
            result = super()._inner_training_loop(*args, **kwargs)
            self.seconds = time.process_time() - self.began
            return result

    with tempfile.TemporaryDirectory() as folder:
        contestant = Clocked(
            model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
            args=config(
                output_dir=folder,
                max_length=ROW_TOKENS,
                per_device_train_batch_size=BATCH,
                num_train_epochs=epochs,
                save_strategy="no",
                report_to=[],
                use_cpu=not torch.cuda.is_available(),
                disable_tqdm=True,
                bf16=fast_bfloat16(),
                gradient_checkpointing=False,
                **more,
            ),
            train_dataset=load_dataset("json", data_files=str(data), split="train"),
            processing_class=AutoTokenizer.from_pretrained(model),
        )
        contestant.train()
    return epochs * PAIRS / contestant.seconds


def _of_trl(trainer: str) -> tuple[Any, Any, dict[str, Any]]:
    if trainer == "dpo":
        from trl import DPOConfig, DPOTrainer

        return DPOTrainer, DPOConfig, {}
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOTrainer, ORPOConfig, {}


CONTESTANTS: dict[str, Callable[[str, int, Path, Path], float]] = {"ours": ours, "trl": trl}


def main() -> None:
    """Print the ratios to TRL's trainers."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model", hidden=320, layers=8, vocabulary=8192)
        data = write_pairs(Path(folder) / "pairs.jsonl", PAIRS)
        for trainer, goal in GOALS.items():
            ratio = _ratio(f"{trainer}:1", RUNS, model, data)
            verdict = "ok" if ratio >= goal else "TOO SLOW"
            print(f"  {trainer}: {ratio:.2f} times as fast as TRL's (at least {goal}) {verdict}")
        print(f"  dpo, 2 epochs: {_ratio('dpo:2', 1, model, data):.2f} times as fast")


def _ratio(what: str, runs: int, model: Path, data: Path) -> float:
    best = dict.fromkeys(CONTESTANTS, 0.0)
    for _ in range(runs):
        for name, speed in best.items():
            pairs = measure(f"{name}:{what}", model, data, "benchmarks.pairs_speed")
            print(f"  {name} {what}: {pairs:.2f} pairs per CPU-second")
            best[name] = max(speed, pairs)
    return best["ours"] / best["trl"]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        name, trainer, epochs = sys.argv[1].split(":")
        told = CONTESTANTS[name](trainer, int(epochs), Path(sys.argv[2]), Path(sys.argv[3]))
        print(json.dumps(told))
