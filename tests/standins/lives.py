"""One training that is killed at random moments and goes on each time: `lives.py MODEL DATA FOLDER
SEED`.

What trains is forked from here, so that the libraries are loaded once. The events of each life are
in `FOLDER/N.jsonl`. A life is killed some events after it began, and a random moment later: while
it computes, or writes, or deletes a checkpoint.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny_llm

import worker.engine.fit  # noqa: F401 (loaded once, and not in each life)
from worker import checkpoints
from worker.contract import Event, to_line
from worker.supervise.journal import read_events
from worker.tasks.llm import TASK

KILLS = 5
SECONDS = 120.0
SETTINGS: dict[str, Any] = {
    **{"trainer": "sft", "peft": True, "lora_dropout": 0.1, "batch_size": 2, "epochs": 3},
    **{"logging_steps": 1, "save_strategy": "steps", "save_steps": 2, "save_minutes": 0.002},
}


def live(model: Path, data: Path, folder: Path, number: int) -> None:
    """Train, from the last checkpoint on that is whole."""
    params, run, _ = tiny_llm.job(model, data, folder, **SETTINGS)
    left = (run.work / checkpoints.FOLDER).glob(checkpoints.name_of("*"))
    whole = [one for one in left if checkpoints.whole_here(one, TASK.name)]
    last = max(whole, key=lambda one: int(one.name.rpartition("-")[2]), default=None)
    with (folder / f"{number}.jsonl").open("w") as told:

        def tell(event: Event) -> None:
            told.write(to_line(event) + "\n")
            told.flush()

        TASK.train(params, replace(run, emit=tell, last_checkpoint=last))


def begun(model: Path, data: Path, folder: Path, number: int) -> int:
    """Begin a life, and return its process."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        live(model, data, folder, number)
        code = 0
    finally:
        os._exit(code)


def main(model: Path, data: Path, folder: Path, seed: int) -> int:
    """Live until the training is done, and return how often it was killed."""
    chance, kills = random.Random(seed), 0
    while kills < KILLS:
        pid, told = begun(model, data, folder, kills), folder / f"{kills}.jsonl"
        wanted, until = chance.randint(1, 12), time.monotonic() + SECONDS
        while len(list(read_events(told))) < wanted and time.monotonic() < until:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return kills
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        kills += 1
    pid = begun(model, data, folder, kills)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit("the last life failed")
    return kills


if __name__ == "__main__":
    model, data, folder, seed = sys.argv[1:]
    print(main(Path(model), Path(data), Path(folder), int(seed)))
