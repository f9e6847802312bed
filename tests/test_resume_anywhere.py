"""A training that goes from a Space to a Job, a container and Slurm, and never notices.

They take minutes: `pytest -m campaign`.
"""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from benches.slurm import configuration, slurm
from standins.containers import worker_image
from standins.laptop import Laptop, finish, killed_at, send
from standins.waiting import until
from test_resume import TRAINING, curve, laptop, pushed_step, step_of, uninterrupted

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(2400)]

__all__ = ["laptop"]

PATIENCE = 400.0
TRAINED = (*TRAINING, "--save-strategy", "steps", "--save-steps", "2")
"""A machine that is busy with something else may need longer for a step than it is given to end."""


def restarted(laptop: Laptop, job: str) -> None:
    """Let the Hub restart the job's Space."""
    (space,) = laptop.hub.api().list_spaces(author="ann")
    laptop.hub.api().restart_space(space.id)


def requeued(laptop: Laptop, job: str) -> None:
    """Let Slurm take the job's node away, and give it another at once."""
    folder = laptop.home / "runs" / job
    number = (folder / "number").read_text().strip()
    slurm("scontrol", "requeue", number)
    asked = ("squeue", "--noheader", f"--jobs={number}", "--format=%T")
    until(lambda: "PENDING" in slurm(*asked), PATIENCE)
    slurm("scontrol", "update", f"jobid={number}", "StartTime=now")


PLACES: dict[str, tuple[tuple[str, ...], Callable[[Laptop, str], None] | None]] = {
    "spaces-cpu": ((), restarted),
    "jobs-cpu-basic": ((), None),
    "docker": (("--docker-network", "host"), None),
    "slurm-debug": ((), requeued),
}
"""Where it trains, one after the other, with what that needs, and how the machine is taken away."""


def test_one_training_goes_through_every_place(
    laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker_image()
    monkeypatch.setenv("SLURM_CONF", str(configuration()))
    monkeypatch.setenv("HF_ENDPOINT", laptop.hub.endpoint)
    words: tuple[str, ...] = TRAINED
    done, job = 0, ""
    for place, (more, taken_away) in PLACES.items():
        said = laptop.run(*words, "--backend", place, *more, "--detach")
        assert said.code == 0, f"{place}: {said.out}{said.err}"
        job = said.document["job"]
        _further(laptop, job, done)
        if taken_away:
            before = _beginnings(laptop, job)
            taken_away(laptop, job)
            until(lambda: _beginnings(laptop, job) > before, PATIENCE, every=0.5)  # noqa: B023
            _further(laptop, job, pushed_step(laptop, job) or 0)
        (ended,) = laptop.run("cancel", job, "--json").document
        assert ended["state"] == "cancelled", place
        assert ended["resumable"]["step"] > done, f"{place}: no step further than {done}"
        done = ended["resumable"]["step"]
        words = ("resume", job, "--json")
    steps = done + 3
    said = laptop.run(*words, "--backend", "local", "--max-steps", str(steps))
    assert said.code == 0, said.out + said.err
    assert len(said.document["resumes"]) == len(PLACES)
    assert curve(laptop, said.document["job"]) == pytest.approx(
        uninterrupted(laptop, steps), rel=1e-4
    )
    assert pushed_step(laptop, job) is None


def _beginnings(laptop: Laptop, job: str) -> int:
    """Return how often a job has gone on from a checkpoint, by its log."""
    return laptop.run("logs", job).out.count("Training goes on from step")


def _further(laptop: Laptop, job: str, than: int) -> int:
    """Wait until a job is some steps further, and return how far it is."""

    def step() -> Any:
        reached = step_of(laptop, job) or 0
        return reached if reached >= than + 2 else None

    found: int = until(step, PATIENCE, every=0.5)
    return found


def test_a_laptop_killed_at_every_step_of_resume(laptop: Laptop) -> None:
    """However far it came, the same command goes on with it: one Space, one job."""
    launched = laptop.run(*TRAINING, "--backend", "spaces-cpu", "--detach").document
    _further(laptop, launched["job"], 0)
    assert laptop.run("cancel", launched["job"]).code == 0
    words = ("resume", launched["job"], "--backend", "spaces-t4", "--detach", "--json")
    for nth in range(1, 30):
        over = killed_at(laptop, nth, *words)
        again = laptop.run(*words)
        assert again.code == 0, f"killed at {nth}: {again.err}"
        job = again.document["job"]
        spaces = [s.id for s in laptop.hub.api().list_spaces(author="ann")]
        assert sorted(spaces) == sorted(f"ann/bot-{j}" for j in (launched["job"], job)), nth
        assert laptop.run("cancel", job).code == 0
        assert not [bill for bill in laptop.hub.admin("GET", "bills") if bill["costing"]], nth
        assert laptop.run("rm", job, "--yes").code == 0
        if over:
            break
    assert nth > 3, "there were steps to be killed at"


def test_worker_and_trainer_killed_at_random_steps(laptop: Laptop) -> None:
    """Each time it is resumed; what is measured is as if nothing had happened."""
    chance, steps = random.Random(4), 33
    saving = ("--save-strategy", "steps", "--save-steps", "3", "--max-steps", str(steps))
    quick = ["4" if word == "24" else word for word in TRAINING if word != "--push-to-hub"]
    words = (*quick, "--backend", "local", *saving)
    killed: list[str] = []
    done = 0
    while (ended := _killed(laptop, words, done, chance, killed))["state"] != "succeeded":
        assert ended["resumable"]["step"] > done, ended
        done, words = ended["resumable"]["step"], ("resume", ended["job"], "--json")
    assert len(killed) == len(ended["resumes"]) >= 3
    assert {"worker", "trainer"} == set(killed)
    assert curve(laptop, ended["job"]) == pytest.approx(uninterrupted(laptop, steps), rel=1e-4)


def _killed(
    laptop: Laptop, words: tuple[str, ...], done: int, chance: random.Random, killed: list[str]
) -> Any:
    """Run a job, kill its trainer or worker some steps after `done`, and return how it ended.

    What was killed is appended to `killed`; nothing is where the job was done before.
    """
    known = {job["job"] for job in laptop.jobs()}
    process = laptop.start(*words)

    def new() -> Any:
        return next((j["job"] for j in laptop.jobs() if j["job"] not in known), None)

    job, step = until(new, PATIENCE), done + chance.randint(4, 12)
    log = laptop.home / "runs" / job / "log.txt"
    until(lambda: process.poll() is not None or _reached(log) >= step, PATIENCE, every=0.02)
    what = ("worker", "trainer")[len(killed) % 2]
    if process.poll() is None and (victim := _process(laptop, job, what)):
        send(victim, signal.SIGKILL)
        killed.append(what)
    assert finish(process).code in {0, 1}
    return laptop.run("status", job, "--json").document


def _reached(log: Path) -> int:
    """Return the last step that a local job has told."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return max(map(int, re.findall(r'"kind":"progress","step":(\d+)', text)), default=0)


def _process(laptop: Laptop, job: str, what: str) -> int | None:
    """Return the pid of a local job's worker, or of its trainer; none once it has ended."""
    try:
        worker = psutil.Process(int((laptop.home / "runs" / job / "pid").read_text()))
        trainers = [c for c in worker.children(recursive=True) if "worker.run" in c.cmdline()]
    except psutil.Error:
        return None
    found = [worker] if what == "worker" else trainers
    return found[0].pid if found else None
