"""What is paid for is used: accelerators are proven before anything is trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop
from standins.waiting import PATIENCE
from tiny_llm import chats, write_model, write_rows

from worker.clock import SystemClock
from worker.contract import DataRef, EndReason, Failed, JobSpec, Limits, Machine, ModelRef
from worker.host import PlainMachine
from worker.supervise.journal import Journal
from worker.supervise.live import Live
from worker.supervise.prove import prove

CODES = {
    "ok": 0,
    "worker_died": 1,
    "oom": 10,
    "bad_data": 11,
    "bad_config": 12,
    "gated_model": 13,
    "token_no_write": 14,
    "push_failed": 15,
    "build_error": 16,
    "deadline": 17,
    "cost_cap": 18,
    "preempted": 19,
    "hung": 20,
    "user": 21,
    "provider": 23,
    "no_accelerator": 24,
    "script_failed": 25,
}
RENTED = Machine(backend="spaces", flavor="a10g-largex2", accelerators=2, usd_per_hour=3.0)


def test_exit_codes_are_what_they_were() -> None:
    assert {reason.value: reason.exit_code for reason in EndReason} == CODES


@pytest.mark.parametrize(
    ("lent", "wanted"), [(None, 2), ("", 2), ("0", 0), ("1", 1), ("4", 2), ("-1", 2), ("many", 2)]
)
def test_what_is_paid_for_counts_unless_the_hub_lends_less(lent: str | None, wanted: int) -> None:
    assert PlainMachine({} if lent is None else {"ACCELERATORS": lent}).accelerators(2) == wanted


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A job on two accelerators, in this process."""
    clock = SystemClock()
    job = JobSpec(
        job_id="k4x",
        project="bot",
        task="llm",
        params={},
        model=ModelRef(name="/models/tiny"),
        data=DataRef(folder="/data"),
        machine=RENTED,
    )
    with (tmp_path / "out").open("w") as out:
        journal = Journal(tmp_path, clock=clock, redact=str, out=out)
        yield Live(job, PlainMachine(dict(os.environ)), clock, journal, born=clock.monotonic())
        journal.close()


DRIVER = {"driver": "12.9"}
FOREVER = "time.sleep(600)"
TORCH = {"torch": "2.13.0", "cuda": "13.0"}
BOTH = "the driver runs CUDA 12.9 and older, and torch 2.13.0 is built for CUDA 13.0"


def saying(*lines: dict[str, Any], then: str = "pass") -> list[str]:
    """Return a far side: a probe that finds this and then does something."""
    printed = "".join(f"print({json.dumps(line)!r}, flush=True)\n" for line in lines)
    return [sys.executable, "-c", f"import os, time\n{printed}{then}"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (saying(DRIVER, TORCH, {"error": "driver is too old"}), f"(driver is too old): {BOTH}"),
        (saying(DRIVER, TORCH, {"devices": 1}, {"proven": 1}), f"torch finds only 1: {BOTH}"),
        (saying(DRIVER, TORCH, {"devices": 2}, {"proven": 1}), "only 1 of them computed"),
        (
            saying(DRIVER, TORCH, {"devices": 2}, {"proven": 1}, {"error": "GPU 1 multiplies"}),
            "(GPU 1 multiplies)",
        ),
        (saying(DRIVER, TORCH, then="os.abort()"), f"exit code -6: {BOTH}"),
        (saying(DRIVER, TORCH, {"devices": 2}, then=FOREVER), "no answer within 3 s"),
        (saying(DRIVER, then=FOREVER), "and torch was not reached"),
        (saying({"driver": None}, TORCH, {"error": "no driver"}), "there is no driver, and"),
        (saying(), "exit code 0: the driver's CUDA version is not known"),
        (["no-such-program"], "exit code"),
    ],
)
def test_what_is_not_proven_ends_the_job(live: Live, command: list[str], words: str) -> None:
    ending = prove(live, command, patience=3.0 if FOREVER in command[-1] else PATIENCE)
    assert ending is not None and ending.reason is EndReason.NO_ACCELERATOR
    assert words in ending.message
    assert "a10g-largex2 is paid for with 2 accelerators" in ending.message
    assert "hubtrain backends" in ending.message


@pytest.mark.parametrize("limits", [Limits(max_seconds=0.5), Limits(max_usd=0.0005)])
def test_limits_hold_while_accelerators_are_tried(live: Live, limits: Limits) -> None:
    live.spec = live.spec.model_copy(update={"limits": limits})
    ending = prove(live, saying(DRIVER, then=FOREVER), patience=PATIENCE)
    assert ending is not None and ending.reason in {EndReason.DEADLINE, EndReason.COST_CAP}


def test_a_driver_that_only_complains_gives_no_answer(live: Live) -> None:
    complaining = saying(
        DRIVER, then="[(print('NVRM: Xid', flush=True), time.sleep(0.2)) for _ in range(3000)]"
    )
    ending = prove(live, complaining, patience=3.0)
    assert isinstance(ending, Failed) and "no answer within 3 s" in ending.message
    assert "NVRM" in ending.detail


@pytest.mark.skipif(sys.platform != "linux", reason="made with what Linux lends debuggers")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_probe_that_cannot_be_killed_does_not_keep_the_machine(live: Live) -> None:
    # A process in a driver's call may not go when it is killed. Here it cannot be buried: a
    # debugger of its own holds it, as the kernel would.
    held = (
        "import ctypes\n"
        "libc, (ready, told), parent = ctypes.CDLL(None), os.pipe(), os.getpid()\n"
        "if (debugger := os.fork()) == 0:\n"
        "    os.setsid(), os.close(1), os.close(2), time.sleep(0.2)\n"
        "    held = libc.ptrace(0x4206, parent, None, None)\n"  # PTRACE_SEIZE
        "    os.write(told, b'no' if held else b'yes'), time.sleep(90), os._exit(0)\n"
        "libc.prctl(0x59616D61, debugger, 0, 0, 0)\n"  # PR_SET_PTRACER
        "print('held:', os.read(ready, 3).decode(), flush=True), time.sleep(600)"
    )
    began = time.monotonic()
    ending = prove(live, saying(DRIVER, then=held), patience=3.0)
    assert isinstance(ending, Failed)
    if "held: yes" not in ending.detail:
        pytest.skip("no process may debug another here")
    assert ending.reason is EndReason.NO_ACCELERATOR
    assert time.monotonic() - began < PATIENCE, "its debugger holds it for longer"


def test_what_is_proven_lets_the_job_begin(live: Live) -> None:
    found = ({"devices": 2}, {"proven": 1}, {"proven": 2})
    assert prove(live, saying(DRIVER, TORCH, *found)) is None
    assert BOTH in live.journal.tail[-1]


def test_the_probe_says_what_this_machine_has() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "worker.probe"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    said: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        said |= json.loads(line)
    assert {"driver", "torch", "cuda"} <= set(said)
    assert ("error" in said) != ("proven" in said)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("tiny"))


def without_gpus() -> dict[str, str]:
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}


@pytest.mark.slow
def test_a_trainer_never_falls_back_to_the_cpu(tiny: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", chats(8))
    job = JobSpec(
        job_id="k4x",
        project="bot",
        task="llm",
        params={"model": str(tiny), "data_path": str(tmp_path / "train.jsonl"), "trainer": "sft"},
        model=ModelRef(name=str(tiny)),
        data=DataRef(folder=str(tmp_path), train=("train.jsonl",)),
        machine=RENTED,
    )
    (tmp_path / "job.json").write_text(job.model_dump_json())
    places = ["--job", "job.json", "--output", "out", "--work", "work"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "worker.run", *places],
        cwd=tmp_path,
        env=without_gpus(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == EndReason.NO_ACCELERATOR.exit_code, done.stdout + done.stderr
    assert "This job is to use 1 GPU" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_rented_gpu_that_does_not_compute_costs_seconds(
    hub_server: Any, tiny: Path, tmp_path: Path
) -> None:
    hub = hub_server()
    hub.admin("PUT", "machines", {"tells_accelerators": False})  # as the real Hub
    hub.api().create_repo("ann/tiny")
    hub.api().upload_folder(repo_id="ann/tiny", folder_path=tiny)
    write_rows(tmp_path / "chats.jsonl", chats(40))
    laptop = Laptop(tmp_path / "home", hub)
    said = laptop.run(
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", "ann/tiny"),
        *("--data-path", "chats.jsonl", "--project-name", "bot", "--backend", "spaces-a10g"),
        *("--push-to-hub", "--username", "ann", "--model-max-length", "64", "--max-steps", "2"),
    )
    assert said.code == 1, said.out + said.err
    told = said.out + said.err
    assert "the accelerator does not compute (reason: no_accelerator)" in told
    for words in ("there is no driver", "torch 2.", "Nothing was trained.", "hubtrain backends"):
        assert words in told
    assert "billing stopped (confirmed" in told
    (job,) = laptop.jobs()
    assert job["reason"] == "no_accelerator"
    (bill,) = hub.admin("GET", "bills")
    paid = [part["seconds"] for part in bill["intervals"] if part["flavor"] == "a10g-small"]
    assert sum(paid) < 60
    assert not bill["costing"]
