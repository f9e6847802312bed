"""What sending checkpoints to a Hub costs of a CPU training's throughput, Hub on the same machine.

One training runs all the while and writes a checkpoint in each window; in every second window it is
told to the supervisor, which sends it. So both rates come from the same process within seconds, and
a busy neighbour slows both. A window is much shorter than the time between checkpoints, which is
ten minutes where nobody says: the cost there is the same work in a longer time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._supervised import job, steps
from orchestrator.localhub import running_hub
from worker.common.watching import Watching
from worker.contract import MARK, MARK_VARIABLE, Checkpoint, PushTarget, from_line, marked

WINDOW_SECONDS = 20.0
PAIRS = 6
SECONDS = 2 * PAIRS * WINDOW_SECONDS + 40
MEGABYTES = 64
"""Size of a checkpoint: a LoRA adapter of a model of some billions, with its optimizer's state."""

ALLOWED = 0.03
REPO = "ann/bench"
_MARK = os.environ.get(MARK_VARIABLE, MARK)


def main() -> None:
    """Print the share of throughput that is left, in windows and at the usual interval."""
    with tempfile.TemporaryDirectory() as name, running_hub(Path(name), ["ann"]) as hub:
        rates, sent = _measured(Path(name), hub.environ("ann") | {"HUBTRAIN_WORK": name})
    left = statistics.median(rates[True]) / statistics.median(rates[False])
    between = 60 * (Watching().save_minutes or 0)
    usual = 1 - (1 - left) * WINDOW_SECONDS / between
    verdict = "ok" if 1 - usual <= ALLOWED else "TOO MUCH"
    print(f"  {sent} checkpoints of {MEGABYTES} MB sent")
    print(f"  throughput {left:.3f} of that without, at one in {WINDOW_SECONDS:.0f} s")
    print(f"  throughput {usual:.4f} of that without, at one in {between / 60:.0f} min {verdict}")


def _measured(folder: Path, environ: dict[str, str]) -> tuple[dict[bool, list[float]], int]:
    """Return steps per second of windows with sending and without, and how many were sent."""
    ends_at, asked, log = folder / "steps", folder / "asked", folder / "log"
    words = [sys.executable, "-m", "benchmarks.checkpoints", "supervise", str(folder)]
    with log.open("w") as out:
        process = subprocess.Popen(words, env=environ, stdout=out, stderr=subprocess.STDOUT)
    edges: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    try:
        while not ends_at.exists() or not ends_at.stat().st_size:
            time.sleep(0.2)
        for number in range(2 * PAIRS):
            told = number % 4 in {0, 3}  # with, without, without, with, …
            asked.write_text(f"{number} {'told' if told else 'untold'}")
            began = time.monotonic()
            time.sleep(WINDOW_SECONDS)
            edges[told].append((began, time.monotonic()))
    finally:
        process.kill()
        process.wait()
    ends = [float(line) for line in ends_at.read_text().splitlines()]
    events = map(from_line, log.read_text().splitlines())
    sent = sum(isinstance(e, Checkpoint) and e.on_hub is not None for e in events)
    rates = {told: [_rate(ends, *edge) for edge in found] for told, found in edges.items()}
    return rates, sent


def _rate(ends: list[float], began: float, ended: float) -> float:
    return sum(began <= end <= ended for end in ends) / (ended - began)


def train(folder: Path) -> None:
    """Train a small network until killed, and write a checkpoint whenever a window begins."""
    seen, asked = "", folder / "asked"
    for step in steps(folder / "steps"):
        if asked.exists() and (now := asked.read_text()) and now != seen:
            seen = now
            _save(folder, step, told=now.endswith(" told"))


def _save(folder: Path, step: int, *, told: bool) -> None:
    left = folder / "checkpoints" / f"checkpoint-{step}"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(os.urandom(MEGABYTES // 4 * 10**6))
    (left / "optimizer.pt").write_bytes(os.urandom(3 * MEGABYTES // 4 * 10**6))
    for name in ("scheduler.pt", "rng_state.pth", "trainer_state.json"):
        (left / name).write_text("{}")
    if told:
        sys.stdout.write(marked(Checkpoint(step=step, where=str(left)), _MARK) + "\n")
        sys.stdout.flush()


def supervise(folder: Path) -> int:
    """Be the worker of that training."""
    from worker.clock import SystemClock
    from worker.host import PlainMachine
    from worker.supervise.supervise import Supervisor

    spec = job(PushTarget(repo_id=REPO))
    host = PlainMachine(dict(os.environ))
    command = [sys.executable, "-m", "benchmarks.checkpoints", "train", str(folder)]
    worker = Supervisor(spec, host, clock=SystemClock(), serve=lambda live: None, command=command)
    return worker.run().exit_code


if __name__ == "__main__":
    roles = {"train": train, "supervise": supervise}
    if len(sys.argv) > 1:
        roles[sys.argv[1]](Path(sys.argv[2]))
        os._exit(0)
    main()
