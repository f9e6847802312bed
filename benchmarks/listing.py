"""What a list of 10,000 jobs costs: `hubtrain jobs --all`, against `hubtrain --version`.

The records are as running jobs leave them: a spec and two dozen events each. They are made once,
and folded by the first list; what is measured are the lists after it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.jobs.records import Records
from worker.contract import (
    Created,
    DataRef,
    Event,
    Finished,
    JobSpec,
    Launched,
    Machine,
    Metric,
    Observed,
    Progress,
    Started,
)

JOBS = 10_000
GOAL_SECONDS = 0.3
GOAL_BYTES = 60e6
RUNS = 5
SECONDS = 40


def life(job_id: str, began: datetime) -> list[Event]:
    """Return what a job of twenty minutes leaves."""
    over = began + timedelta(minutes=20)
    told: list[Event] = [Started(job_id=job_id, at=began)]
    for step in range(1, 11):
        told.append(Progress(step=step, total_steps=10, at=began))
        told.append(Metric(step=step, values={"loss": 1 / step}, at=began))
    told.append(Finished(at=over))
    worker = [event.model_copy(update={"seq": n}) for n, event in enumerate(told, 1)]
    handle = f"spaces://ann/p-{job_id}"
    gone = Observed(stage="PAUSED", alive=False, costing=False, at=over, source="laptop")
    laptop = Created(job_id=job_id, at=began, source="laptop")
    return [laptop, Launched(handle=handle, at=began, source="laptop"), *worker, gone]


def fill(folder: Path) -> None:
    """Write the records of as many jobs."""
    now = datetime.now(UTC)
    machine = Machine(backend="spaces", flavor="t4-small", usd_per_hour=0.4)
    params = {"trainer": "sft"}
    spec = JobSpec(
        job_id="", project="p", task="llm", params=params, data=DataRef(), machine=machine
    )
    named = (spec.model_copy(update={"job_id": f"j{n:05d}"}) for n in range(JOBS))
    jobs = ((one, life(one.job_id, now - timedelta(days=1))) for one in named)
    Records(folder).write(jobs)


def cost(words: list[str], home: Path) -> tuple[float, float, int]:
    """Return seconds, CPU-seconds and the most bytes that a command takes."""
    command = [str(Path(sys.executable).with_name("hubtrain")), *words]
    environ = {**os.environ, "HUBTRAIN_HOME": str(home)}
    began = time.monotonic()
    child = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{words}: exit {child.returncode}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main() -> None:
    """Print the time and memory of the list, and its ratio to the program's start."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        fill(home)
        words = ["jobs", "--all", "--offline"]
        first, _, _ = cost(words, home)
        ours = [cost(words, home) for _ in range(RUNS)]
        theirs = [cost(["--version"], home) for _ in range(RUNS)]
    seconds, cpu, most = (min(values) for values in zip(*ours, strict=True))
    start = min(cpu for _, cpu, _ in theirs)
    print(
        f"  {JOBS:,} jobs in {seconds:.2f} s (goal {GOAL_SECONDS}), {cpu:.2f} CPU-seconds, "
        f"{cpu / start:.1f} of `--version`; {most / 1e6:.0f} MB (goal {GOAL_BYTES / 1e6:.0f}); "
        f"the first time, when they are folded, {first:.1f} s"
    )


if __name__ == "__main__":
    main()
