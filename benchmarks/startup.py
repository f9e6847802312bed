"""What starting costs: CPU-seconds from process start to the first optimizer step.

The worker's own command on a model of 10 million parameters, against TRL's SFTTrainer on the same
model and texts in the same run. Read from outside, the moment the first step is reported. Both
have one thread, since a second one that waits its turn counts as work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks._model import write_data, write_model
from benchmarks._turns import QUIET
from benchmarks._used import cpu_seconds
from worker.contract import Metric, from_line

GOAL_SECONDS = 6.5
RUNS = 2
SECONDS = 60

TRL = """
import sys
from datasets import load_dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

class Say(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        print("FIRST STEP", flush=True)
        sys.stdin.readline()

SFTTrainer(
    model=sys.argv[1],
    args=SFTConfig(output_dir=sys.argv[3], max_length=512, max_steps=1, save_strategy="no",
                   report_to=[], use_cpu=True, per_device_train_batch_size=1),
    train_dataset=load_dataset("json", data_files=sys.argv[2], split="train"),
    callbacks=[Say()],
).train()
"""


def cpu_until(command: list[str], first: Callable[[str], bool]) -> float:
    """Return the CPU-seconds `command` has used when a line it prints is the `first` wanted."""
    environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if first(line):
                used = cpu_seconds(process.pid)
                process.kill()
                return used
    raise RuntimeError(f"{command[:3]} ended without a step")


def job_file(folder: Path, model: Path, data: Path) -> Path:
    """Write the spec of a job of one step; return its path."""
    job = {
        "job_id": "bench2",
        "project": "startup",
        "task": "llm",
        "params": {
            "model": str(model),
            "data_path": str(data),
            "block_size": 512,
            "batch_size": 1,
            "gradient_accumulation": 1,
            "max_steps": 2,
            "logging_steps": 1,
            "samples": 0,  # TRL asks the model nothing either
        },
        "model": {"name": str(model)},
        "data": {"folder": str(data.parent), "train": [data.name]},
        "machine": {"backend": "local"},
    }
    file = folder / "job.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    return file


def main() -> None:
    """Print our CPU-seconds and their ratio to TRL's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_model(folder / "model", hidden=256, layers=8, vocabulary=8192)
        data = write_data(folder / "data.jsonl", 60)
        job = job_file(folder, model, data)
        places = ["--output", str(folder / "output"), "--work", str(folder / "work")]
        worker = [sys.executable, "-m", "worker.run", "--job", str(job), *places]
        trl = [sys.executable, "-c", TRL, str(model), str(data), str(folder / "trl")]
        ours = min(
            cpu_until(worker, lambda line: isinstance(from_line(line), Metric)) for _ in range(RUNS)
        )
        theirs = min(cpu_until(trl, lambda line: "FIRST STEP" in line) for _ in range(RUNS))
    print(
        f"  {ours:.1f} CPU-seconds to the first step (goal {GOAL_SECONDS}); "
        f"{ours / theirs:.2f} of TRL's {theirs:.1f}"
    )


if __name__ == "__main__":
    main()
