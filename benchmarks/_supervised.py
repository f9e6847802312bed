"""The two processes of `supervisor_cost`: `train FILE` steps on a CPU, `supervise WORK` its parent.

Every step is an event, which is more than a real trainer says, and a line of FILE: when it ended.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from worker.contract import (
    MARK,
    MARK_VARIABLE,
    DataRef,
    JobSpec,
    Machine,
    Metric,
    ModelRef,
    Progress,
    PushTarget,
    marked,
)

_MARK = os.environ.get(MARK_VARIABLE, MARK)


def train(file: Path) -> None:
    """Train a small network on noise until killed."""
    deque(steps(file), maxlen=0)


def steps(file: Path) -> Iterator[int]:
    """Train a small network on noise, and yield the number of each step once it is told."""
    import torch

    net = torch.nn.Sequential(
        torch.nn.Linear(512, 2048), torch.nn.GELU(), torch.nn.Linear(2048, 512)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    rows = torch.randn(256, 512)
    with file.open("w", buffering=1, encoding="ascii") as ends:
        for step in range(1, 1_000_000):
            loss = torch.nn.functional.mse_loss(net(rows), rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            say(step, loss.item())
            ends.write(f"{time.monotonic()}\n")
            yield step


def say(step: int, loss: float) -> None:
    """Tell the supervisor about a step."""
    done = Progress(step=step, total_steps=100_000, units_per_second=1.0, eta_seconds=1.0)
    sys.stdout.write(marked(done, _MARK) + "\n")
    sys.stdout.write(marked(Metric(step=step, values={"loss": loss, "lr": 1e-4}), _MARK) + "\n")
    sys.stdout.flush()


def job(push: PushTarget | None = None) -> JobSpec:
    """Return the job that the training passes for."""
    return JobSpec(
        job_id="bench",
        project="bench",
        task="llm",
        params={},
        model=ModelRef(name="/none"),
        data=DataRef(folder="/none"),
        push=push,
        machine=Machine(backend="local"),
    )


def supervise(work: Path) -> int:
    """Be the worker of that training, page included."""
    from worker.clock import SystemClock
    from worker.host import PlainMachine
    from worker.page import serve
    from worker.supervise.supervise import Supervisor

    host = PlainMachine({**os.environ, "HUBTRAIN_WORK": str(work)})
    command = [sys.executable, "-m", "benchmarks._supervised", "train", str(work / "steps")]
    worker = Supervisor(job(), host, clock=SystemClock(), serve=serve, command=command)
    return worker.run().exit_code


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]))
    os._exit(supervise(Path(sys.argv[2])))
