"""A backend planted in a copy of the house is found everywhere: nothing else has to know of it.

It is the example of CONTRIBUTING.md, `examples/shed/`. Its machine is a process; the worker in it
is a stand-in that tells the events of a training, so that a run takes no time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from standins.laptop import SECONDS, Said
from tiny_llm import chats, write_model, write_rows

import backends

ROOT = Path(__file__).parent.parent
ROOMS = ("orchestrator", "worker", "backends", "space_template", "tests", "examples")
SHED = ROOT / "examples" / "shed"

ELSEWHERE = ("--backend", "local", "--dry-run")

WORKER = """
import os, signal, sys, time
from datetime import UTC, datetime
from pathlib import Path
from worker.contract import Finished, JobSpec, Progress, Started, marked

numbers = iter(range(1, 10_000))
def tell(event, **more):
    at = {"at": datetime.now(UTC), "source": "worker", "seq": next(numbers)}
    print(marked(event(**more, **at)), flush=True)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
spec = JobSpec.model_validate_json(Path("job.json").read_text())
tell(Started, job_id=spec.job_id)
print("nice", os.nice(0), flush=True)
steps = spec.params["max_steps"]
for step in range(steps):
    tell(Progress, step=step + 1, total_steps=steps)
    time.sleep(0.05)
tell(Finished)
"""


@dataclass(frozen=True)
class House:
    """A copy of hubtrain with one backend more, and a user's folder beside it."""

    sources: Path
    user: Path

    def run(self, *words: str) -> Said:
        """Run a command of the copy."""
        return self.python("-m", "orchestrator.terminal.cli", *words)

    def python(self, *words: str) -> Said:
        environ = {
            **os.environ,
            "PYTHONPATH": str(self.sources),
            "HUBTRAIN_HOME": str(self.user / "home"),
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody answers there
            "HF_TOKEN": "",
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [sys.executable, "-P", *words],
            cwd=self.user,
            env=environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def train(self, *words: str) -> Said:
        """Train in the shed."""
        job = ("--model", "tiny", "--data-path", "chats.jsonl", "--model-max-length", "64")
        return self.run(
            *("llm", "--train", "--trainer", "sft", "--peft", *job, "--backend", "shed", *words)
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("house")
    sources, user = folder / "sources", folder / "user"
    for room in ROOMS:
        shutil.copytree(ROOT / room, sources / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", sources)
    shutil.copy(SHED / "backend.py", sources / "backends" / "shed.py")
    shutil.copy(SHED / "bench.py", sources / "tests" / "benches" / "shed.py")
    (sources / "worker" / "__main__.py").write_text(WORKER)
    write_model(user / "tiny")
    write_rows(user / "chats.jsonl", chats(20))
    return House(sources, user)


def test_it_is_in_the_help_and_in_the_lists(house: House) -> None:
    told = house.run("llm", "--help").out
    assert "--shed-nice" in told and "How much a job gives way to other programs" in told
    assert ", ".join(sorted({*backends.names(), "shed"})) in told
    assert "shed" in house.run("backends", "--json").document
    wrong = house.run("llm", "--train", "--backend", "shet", "--project-name", "bot")
    assert wrong.code == 2 and "--backend shed" in wrong.err


def test_it_is_checked_and_planned(house: House) -> None:
    said = house.train("--project-name", "bot", "--shed-nice", "5", "--dry-run", "--json")
    assert said.code == 0, said.err + said.out
    assert said.document["report"]["flavor"] == "shed"
    assert said.document["settings"]["shed_nice"] == {"value": 5, "from": "flags"}
    assert said.document["plan"]["command"][:3] == ["nice", "-n", "5"]
    assert said.document["plan"]["job"]["machine"]["options"] == {"shed_nice": 5}
    wrong = house.train("--project-name", "bot", "--shed-nice", "20", "--dry-run")
    assert wrong.code == 2 and "--shed-nice" in wrong.err


def test_its_option_is_not_used_elsewhere_and_that_is_said(house: House) -> None:
    words = ("llm", "--train", "--model", "tiny", "--data-path", "chats.jsonl")
    said = house.run(*words, "--project-name", "x", "--shed-nice", "5", *ELSEWHERE)
    assert "--shed-nice is not used: only the backend shed has it." in said.out


def test_it_keeps_the_arrows(house: House) -> None:
    arrows = str(house.sources / "tests" / "test_architecture.py")
    said = house.python("-m", "pytest", "-q", arrows, "-k", "arrows", "-p", "no:cacheprovider")
    assert said.code == 0, said.out[-4000:]


def test_it_runs_a_job_with_its_own_option(house: House) -> None:
    said = house.train("--project-name", "bot", "--max-steps", "2", "--shed-nice", "5", "--json")
    assert said.code == 0, said.err + said.out
    job = said.document
    assert (job["state"], job["handle"]) == ("succeeded", f"shed://{job['job']}")
    assert f"nice {os.nice(0) + 5}" in house.run("logs", job["job"]).out


def test_another_option_is_another_job(house: House) -> None:
    def launch(nice: str) -> str:
        words = ("--project-name", "long", "--max-steps", "5000", "--shed-nice", nice)
        said = house.train(*words, "--detach", "--json")
        assert said.code == 0, said.err
        return str(said.document["job"])

    first, second = launch("5"), launch("6")
    assert first != second
    assert launch("5") == first
    for job in (first, second):
        house.run("cancel", job)
        assert house.run("rm", "--force", job).code == 0


def test_the_tests_of_all_backends_judge_it(house: House) -> None:
    tests = str(house.sources / "tests" / "test_backends.py")
    judged = house.python("-m", "pytest", "-q", tests, "-k", "shed", "-p", "no:cacheprovider")
    assert judged.code == 0, judged.out[-4000:]
    assert "passed" in judged.out
