"""A trainer without a model: `trainer.py OUTPUT what[=value] ...` does each thing in turn."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from worker.contract import (
    MARK,
    MARK_VARIABLE,
    SAVED,
    Checkpoint,
    Chosen,
    EndReason,
    Failed,
    Finished,
    Metric,
    Phase,
    Progress,
    marked,
)

_MARK = os.environ.get(MARK_VARIABLE, MARK)


def main(output: Path, acts: list[str]) -> None:
    for act in acts:
        name, _, value = act.partition("=")
        _ACTS[name](output, value)


def say(event: object) -> None:
    print("\n" + marked(event, _MARK), flush=True)  # type: ignore[arg-type]


def steps(output: Path, value: str) -> None:
    """Take so many steps, each so many seconds: `steps=3` or `steps=3x0.5`."""
    count, _, seconds = value.partition("x")
    say(Phase(name="loading model"))
    for step in range(1, int(count) + 1):
        _step(step, int(count), float(seconds or 0))
    say(Metric(step=int(count), values={"valid_loss": 1.5}))


def work(output: Path, value: str) -> None:
    """Take steps until a file is there, as many as it takes."""
    for step in itertools.count(1):
        if Path(value).exists():
            return
        _step(step, max(80, step), 0.15)


def _step(step: int, total: int, seconds: float) -> None:
    time.sleep(seconds)
    done = Progress(
        step=step,
        total_steps=total,
        units=step * 100,
        unit="tokens",
        units_per_second=1000.0,
        eta_seconds=(total - step) * seconds,
    )
    say(done)
    print(f"step {step} done", flush=True)
    say(Metric(step=step, values={"loss": 3.0 / step, "lr": 1e-4 * (1 - step / total)}))


def model(output: Path, value: str) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text('{"model_type": "llama"}')
    (output / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      " + value.encode())
    (output / "training_args.bin").write_bytes(b"not for anybody")


def choose(output: Path, value: str) -> None:
    """Say how many rows a pass has on this machine."""
    say(Chosen(settings={"batch_size": int(value)}))


def saved(output: Path, value: str) -> None:
    """Say that the model is complete."""
    say(Phase(name=SAVED))


def finish(output: Path, value: str) -> None:
    say(Finished(metrics={"valid_loss": 1.5}))


def fail(output: Path, value: str) -> None:
    say(Failed(reason=EndReason(value), message="The trainer says why."))
    sys.exit(EndReason(value).exit_code)


def hold(output: Path, value: str) -> None:
    """Hold so many MiB of memory."""
    _HELD.append(bytearray(os.urandom(1)) * (int(value) << 20))


def spawn(output: Path, value: str) -> None:
    """Leave a grandchild and a daemon, which outlive this process unless somebody ends them."""
    pid = os.spawnl(os.P_NOWAIT, sys.executable, sys.executable, "-c", "import time;time.sleep(60)")
    Path(value).write_text(f"{pid} {daemon()}")


def daemon() -> int:
    """Start a process of a session of its own, whose parent is gone; return its id."""
    sleeper = [sys.executable, "-c", "import time;time.sleep(60)"]
    start = (
        "import subprocess, sys;"
        "print(subprocess.Popen(sys.argv[1:], start_new_session=True, stdout=2).pid)"
    )
    return int(subprocess.check_output([sys.executable, "-c", start, *sleeper]))


def checkpoint(output: Path, value: str) -> None:
    """Write one when asked to end, as the real trainer does."""

    def write(*_: object) -> None:
        say(Checkpoint(step=7, where="/work/checkpoint-7"))
        sys.exit(143)

    signal.signal(signal.SIGTERM, write)


def save(output: Path, value: str) -> None:
    """Leave a checkpoint of this step as transformers does, and delete the one before."""
    checkpoints = output.parent / "checkpoints"
    earlier = list(checkpoints.glob("checkpoint-*"))
    folder = checkpoints / f"checkpoint-{value}"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (folder / name).write_bytes(os.urandom(2000) + name.encode())
    (folder / "trainer_state.json").write_text(f'{{"global_step": {value}}}')
    for one in earlier:
        shutil.rmtree(one)
    say(Progress(step=int(value), total_steps=100))
    say(Metric(step=int(value), values={"loss": 100.0 / int(value)}))
    say(Checkpoint(step=int(value), where=str(folder)))


def save_when_asked(output: Path, value: str) -> None:
    """Leave the checkpoint of this step when asked to end."""

    def write(*_: object) -> None:
        save(output, value)
        sys.exit(143)

    signal.signal(signal.SIGTERM, write)


def until(output: Path, value: str) -> None:
    """Wait until a file is there."""
    while not Path(value).exists():
        time.sleep(0.05)


def touch(output: Path, value: str) -> None:
    """Leave an empty file beside the model: with `later` the worker's clock leaps."""
    (output.parent / value).touch()


_HELD: list[bytearray] = []
_ACTS: dict[str, Callable[[Path, str], object]] = {
    "steps": steps,
    "work": work,
    "model": model,
    "finish": finish,
    "choose": choose,
    "saved": saved,
    "fail": fail,
    "hold": hold,
    "spawn": spawn,
    "until": until,
    "touch": touch,
    "say": lambda output, value: say(Phase(name=value)),
    "open": lambda output, value: print(value, end="", flush=True),
    "print": lambda output, value: print(value, flush=True),
    "env": lambda output, value: print(f"{value} is {os.environ.get(value)}", flush=True),
    "sleep": lambda output, value: time.sleep(float(value)),
    "exit": lambda output, value: sys.exit(int(value)),
    "raise": lambda output, value: 1 / 0,
    "save": save,
    "save-when-asked": save_when_asked,
    "kill": lambda output, value: os.kill(os.getpid(), 9),
    "checkpoint": checkpoint,
    "deaf": lambda output, value: signal.signal(signal.SIGTERM, signal.SIG_IGN),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
