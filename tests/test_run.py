"""The trainer's process from outside: a job file in, marked events and an exit code out."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from standins.waiting import PATIENCE
from tiny_llm import chats, write_model, write_rows

from worker.contract import Checkpoint, EndReason, Event, Failed, Metric, Phase, from_line

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

CANARY = "hf_canaryCANARYcanary"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("run") / "model")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "data" / "train.jsonl", chats(40))


def spec(folder: Path, model: Path, data: Path, **settings: Any) -> Path:
    params = {"model": str(model), "data_path": str(data), "trainer": "sft", "block_size": 64}
    params |= {"batch_size": 1, "gradient_accumulation": 1}
    job = {
        "job_id": "k4xabc",
        "project": "p",
        "task": "llm",
        "params": {**params, **settings},
        "model": {"name": str(model)},
        "data": {"folder": str(data.parent), "train": [data.name]},
        "machine": {"backend": "local"},
    }
    file = folder / "job.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    return file


def command(job: Path, folder: Path) -> list[str]:
    folders = ["--output", str(folder / "output"), "--work", str(folder / "work")]
    return [sys.executable, "-m", "worker.run", "--job", str(job), *folders]


ENVIRONMENT = {**os.environ, "HF_TOKEN": CANARY}


def run(job: Path, folder: Path) -> tuple[int, list[Event], str]:
    """Return the exit code, the events, and everything that was printed."""
    done = subprocess.run(
        command(job, folder),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=240,
        check=False,
    )
    events = [event for line in done.stdout.splitlines() if (event := from_line(line))]
    return done.returncode, events, done.stdout + done.stderr


def test_a_job_file_becomes_a_model(model: Path, data: Path, tmp_path: Path) -> None:
    code, events, printed = run(spec(tmp_path, model, data, peft=True, max_steps=3), tmp_path)
    assert code == 0, printed
    phases = [event.name for event in events if isinstance(event, Phase)]
    answers = "answering samples"
    assert phases == ["reading data", "loading model", answers, answers, "saving", "saved"]
    assert any(isinstance(event, Metric) for event in events)
    assert (tmp_path / "output" / "adapter_model.safetensors").exists()
    assert not any(isinstance(event, Failed) for event in events)
    assert CANARY not in printed


def test_what_is_not_used_is_not_imported(model: Path, data: Path, tmp_path: Path) -> None:
    job = spec(tmp_path, model, data, max_steps=1)
    code = (
        "import sys; from worker.run import main; "
        f"main({command(job, tmp_path)[3:]!r}); "
        "print([m for m in ('bitsandbytes', 'peft', 'datasets', 'trl') if sys.modules.get(m)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=240,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("settings", "ending"),
    [
        ({"text_column": "body"}, (EndReason.BAD_DATA, 'no column "body" in train.jsonl')),
        ({"lr": -1}, (EndReason.BAD_CONFIG, "lr: Input should be greater than 0")),
        ({"learning_rat": 1}, (EndReason.BAD_CONFIG, "learning_rat")),
        ({"log": "wandb"}, (EndReason.BAD_CONFIG, "wandb is not installed")),
        ({"lr": 1e30, "logging_steps": 1}, (EndReason.BAD_CONFIG, "the training diverged")),
    ],
    ids=["column", "bounds", "unknown", "tracker", "diverged"],
)
def test_one_ending_in_the_users_words(
    settings: dict[str, Any],
    ending: tuple[EndReason, str],
    model: Path,
    data: Path,
    tmp_path: Path,
) -> None:
    code, events, printed = run(spec(tmp_path, model, data, **settings), tmp_path)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    reason, words = ending
    assert (failed.reason, code) == (reason, reason.exit_code), printed
    assert words in failed.message


def test_a_model_that_is_not_there(data: Path, tmp_path: Path) -> None:
    code, events, _ = run(spec(tmp_path, tmp_path / "nothing", data), tmp_path)
    assert code == EndReason.BAD_CONFIG.exit_code
    assert isinstance(events[-1], Failed) and "cannot be loaded" in events[-1].message


def test_out_of_memory_says_so() -> None:
    import torch

    from worker.run import explain

    failed = explain(MemoryError(), step=2)
    assert (failed.reason, failed.message) == (EndReason.OOM, "Out of memory at step 3.")
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60)
    failed = explain(error.value)
    assert failed.reason is EndReason.OOM
    assert failed.message.startswith("Out of memory before the first step was done. ")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX")
def test_asked_to_stop_it_saves_and_resumes(model: Path, data: Path, tmp_path: Path) -> None:
    job = spec(tmp_path, model, data, epochs=500, save_strategy="no", logging_steps=1)
    with subprocess.Popen(
        command(job, tmp_path), stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if isinstance(from_line(line), Metric):
                process.send_signal(signal.SIGTERM)
                break
        rest = [from_line(line) for line in process.stdout]
        assert process.wait(60) == 128 + signal.SIGTERM
    (saved,) = [event for event in rest if isinstance(event, Checkpoint)]
    short = spec(tmp_path, model, data, max_steps=saved.step + 2, logging_steps=1)
    done = subprocess.run(
        [*command(short, tmp_path), "--resume", saved.where],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=240,
        check=True,
    )
    metrics = [e for line in done.stdout.splitlines() if isinstance(e := from_line(line), Metric)]
    assert [metric.step for metric in metrics] == [saved.step + 1, saved.step + 2]


def test_a_phase_beats_while_its_process_works() -> None:
    from worker.engine.phases import phase

    beats: list[Event] = []
    with phase(beats.append, "working", every_seconds=0.2):
        ends = time.monotonic() + PATIENCE
        while len(beats) < 4 and time.monotonic() < ends:
            sum(range(1000))
    assert {event.name for event in beats if isinstance(event, Phase)} == {"working"}
    assert len(beats) >= 4


def test_a_stuck_phase_does_not_beat() -> None:
    """The processor time of this very process would not do: pytest has threads of its own."""
    from worker.engine.phases import phase

    asked = threading.Semaphore(0)

    def stuck() -> float:
        asked.release()
        return 1.5

    beats: list[Event] = []
    with phase(beats.append, "stuck", every_seconds=0.05, worked=stuck):
        assert all(asked.acquire(timeout=PATIENCE) for _ in range(5))
    assert len(beats) == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/work/checkpoint-4"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_says_so_and_what_to_do(error: Exception) -> None:
    from worker.run import explain

    failed = explain(error, step=4)
    assert failed.message.startswith("The disk of this machine was full at step 4. Make room")
