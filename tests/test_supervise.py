"""The supervisor, with real children: every ending, what is told of it, and what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from standins.spaces import gone

from worker.bootstrap import SINCE
from worker.contract import (
    ENDINGS,
    Chosen,
    DataRef,
    EndReason,
    Event,
    Failed,
    Finished,
    JobSpec,
    Limits,
    Machine,
    Metric,
    ModelRef,
    Phase,
    PushTarget,
    Started,
    State,
    Stopped,
    fold,
    from_line,
)
from worker.duration import roughly
from worker.hardware import parse_bytes
from worker.output import MANIFEST_FILE, made_by
from worker.redact import HIDDEN, Redactor
from worker.supervise.journal import (
    CUT,
    LONGEST_LINE,
    MOST_LOG,
    TAIL_LINES,
    Journal,
    read_events,
)
from worker.supervise.watchdog import Vitals, verdict

ROOT = Path(__file__).parent.parent


def spec(**changes: Any) -> JobSpec:
    """Return a job on this machine."""
    about: dict[str, Any] = {
        "job_id": "k4x",
        "project": "support-bot",
        "task": "llm",
        "params": {"model": "/models/tiny", "data_path": "chats.jsonl", "trainer": "sft"},
        "model": ModelRef(name="/models/tiny"),
        "data": DataRef(folder="/data"),
        "machine": Machine(backend="local"),
    }
    return JobSpec(**{**about, **changes})


class Worker:
    """A worker in a process of its own, whose trainer is a stand-in."""

    def __init__(
        self, folder: Path, job: JobSpec, *acts: str, cwd: str = str(ROOT), **environ: str
    ) -> None:
        self.work = folder / "work"
        (folder / "job.json").write_text(job.model_dump_json())
        env = {
            **os.environ,
            "HUBTRAIN_JOB_FILE": str(folder / "job.json"),
            "HUBTRAIN_WORK": str(self.work),
            "PYTHONPATH": str(ROOT),
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.standins.worker", *acts],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            cwd=cwd,
        )
        self.lines: list[str] = []

    def until(self, kind: str) -> Event:
        """Read on until an event of this kind and return it."""
        for event in self.read():
            if event.kind == kind:
                return event
        raise AssertionError(f"no {kind} event in:\n{''.join(self.lines)}")

    def read(self) -> Iterator[Event]:
        """Yield the events as they are printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if event := from_line(line):
                yield event

    def ended(self, seconds: float = 60) -> Any:
        """Wait for the end and return the ending."""
        for _ in self.read():
            pass
        self.process.wait(seconds)
        endings = [e for e in self.events if isinstance(e, ENDINGS)]
        assert len(endings) == 1, f"a job has one ending:\n{self.output}"
        return endings[0]

    @property
    def events(self) -> list[Event]:
        return list(read_events(self.work / "events.jsonl"))

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def close(self) -> None:
        """End whatever still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start workers; `start("steps=2", "finish", limits=...)`."""
    workers: list[Worker] = []

    def made(*acts: str, environ: dict[str, str] | None = None, **changes: Any) -> Worker:
        workers.append(Worker(tmp_path, spec(**changes), *acts, **(environ or {})))
        return workers[-1]

    yield made
    for worker in workers:
        worker.close()


def test_success_leaves_the_model_its_card_and_its_manifest(start: Any, tmp_path: Path) -> None:
    worker = start("steps=3", "model=x", "finish", output=str(tmp_path / "out"))
    ending = worker.ended()
    assert isinstance(ending, Finished)
    assert ending.output == str(tmp_path / "out")
    assert worker.process.returncode == 0
    files = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"model.safetensors", "README.md", "hubtrain.json"} <= files
    manifest = json.loads((tmp_path / "out" / "hubtrain.json").read_text())
    assert manifest["spec"]["job_id"] == "k4x"
    assert manifest["metrics"]["valid_loss"] == 1.5
    assert fold(worker.events).state is State.SUCCEEDED


def test_a_model_whose_card_cannot_be_written_is_known_as_the_jobs(
    start: Any, tmp_path: Path
) -> None:
    worker = start("model=x", "finish", task="gone", output=str(tmp_path / "out"))
    assert isinstance(worker.ended(), Finished)
    assert any("goes without its card" in line for line in worker.lines)
    assert made_by((tmp_path / "out" / MANIFEST_FILE).read_text()) == "k4x"


def test_events_are_told_once_in_order_and_in_the_file_as_on_the_stream(start: Any) -> None:
    worker = start("steps=2", "print=just a line", "model=x", "finish")
    worker.ended()
    told = [e for line in worker.lines if (e := from_line(line))]
    assert told == worker.events
    assert [e.kind for e in told[:3]] == ["started", "phase", "phase"]
    numbers = [e.seq for e in told]
    assert numbers == sorted(set(numbers))
    assert "just a line\n" in worker.lines


@pytest.mark.parametrize(
    ("acts", "reason", "words"),
    [
        (["raise"], EndReason.WORKER_DIED, "exit code 1"),
        (["exit=3"], EndReason.WORKER_DIED, "exit code 3"),
        (["steps=1", "kill"], EndReason.WORKER_DIED, "SIGKILL"),
        (["fail=bad_data"], EndReason.BAD_DATA, "The trainer says why."),
        (["fail=oom"], EndReason.OOM, "The trainer says why."),
        (["exit=0"], EndReason.WORKER_DIED, "left no model"),
        (["finish"], EndReason.WORKER_DIED, "left no model"),
    ],
)
def test_failures_say_why(start: Any, acts: list[str], reason: EndReason, words: str) -> None:
    worker = start(*acts)
    ending = worker.ended()
    assert isinstance(ending, Failed)
    assert (ending.reason, worker.process.returncode) == (reason, reason.exit_code)
    assert words in ending.message


def test_what_a_trainer_chose_for_the_machine_is_told(start: Any) -> None:
    worker = start("choose=8", "model=x", "saved")
    assert isinstance(worker.ended(), Finished)
    told = [event.settings for event in worker.events if isinstance(event, Chosen)]
    assert told == [{"batch_size": 8}]


def test_the_last_words_of_the_trainer_go_with_its_failure(start: Any) -> None:
    worker = start("print=loading", "raise")
    assert "ZeroDivisionError" in worker.ended().detail


def test_a_trainer_that_finished_and_then_crashed_has_finished(start: Any) -> None:
    worker = start("model=x", "saved", "kill")
    assert isinstance(worker.ended(), Finished)


def test_a_silent_trainer_is_hung_even_if_it_ignores_signals(start: Any) -> None:
    worker = start("deaf", "steps=1", "sleep=600", limits=Limits(hang_seconds=1.5))
    ending = worker.ended()
    assert ending.reason is EndReason.HUNG
    assert "1.5 s" in ending.message or "2 s" in ending.message


def test_the_deadline_stops_a_trainer_that_goes_on(start: Any) -> None:
    ending = start("steps=6000x0.1", limits=Limits(max_seconds=1.5)).ended()
    assert isinstance(ending, Stopped)
    assert ending.reason is EndReason.DEADLINE


def test_the_money_limit_stops_it_too(start: Any) -> None:
    machine = Machine(backend="local", usd_per_hour=3600.0)
    ending = start("steps=6000x0.1", limits=Limits(max_usd=1.5), machine=machine).ended()
    assert (ending.kind, ending.reason) == ("stopped", EndReason.COST_CAP)


def test_limits_hold_while_the_hub_is_away(start: Any) -> None:
    away = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    target = PushTarget(repo_id="ann/bot", private=True)
    worker = start("finish", environ=away, limits=Limits(max_seconds=1.5), push=target)
    ending = next(e for e in worker.read() if isinstance(e, ENDINGS))
    assert not isinstance(ending, Finished)
    assert ending.reason in {EndReason.PROVIDER, EndReason.DEADLINE}


def test_memory_above_the_machines_is_oom(start: Any) -> None:
    worker = start("steps=1", "hold=700", "kill", environ={"MEMORY": "800Mi"})
    ending = worker.ended()
    assert ending.reason is EndReason.OOM
    assert "0.8 GB" in ending.message


def test_sigterm_ends_trainer_and_job_with_words(start: Any) -> None:
    worker = start("steps=6000x0.1")
    worker.until("progress")
    worker.process.send_signal(signal.SIGTERM)
    ending = worker.ended()
    assert ending.reason is EndReason.PREEMPTED
    assert worker.process.returncode == EndReason.PREEMPTED.exit_code


def test_what_a_trainer_writes_down_when_it_is_stopped_is_told(start: Any) -> None:
    worker = start("checkpoint", "touch=later", "steps=6000x0.1", limits=Limits(max_seconds=50))
    assert worker.ended().reason is EndReason.DEADLINE
    checkpoint = fold(worker.events).last_checkpoint
    assert checkpoint is not None, worker.output
    assert checkpoint.step == 7


def test_nothing_outlives_the_job_not_even_grandchildren(start: Any, tmp_path: Path) -> None:
    worker = start(f"spawn={tmp_path / 'pid'}", "fail=bad_config")
    worker.ended()
    grandchild, daemon = map(int, (tmp_path / "pid").read_text().split())
    assert gone([grandchild, daemon] if sys.platform == "linux" else [grandchild])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_a_killed_supervisor_takes_its_trainer_along(start: Any) -> None:
    worker = start("deaf", "steps=6000x0.1")
    worker.until("progress")
    (trainer,) = psutil.Process(worker.process.pid).children()
    worker.process.kill()
    assert gone([trainer.pid])


@pytest.mark.skipif(sys.platform != "linux", reason="Linux chooses by a score")
def test_the_trainer_is_first_to_go_when_memory_runs_out(start: Any) -> None:
    worker = start("steps=6000x0.1")
    worker.until("progress")
    (trainer,) = psutil.Process(worker.process.pid).children()
    score = int(Path(f"/proc/{trainer.pid}/oom_score_adj").read_text())
    own = int(Path(f"/proc/{worker.process.pid}/oom_score_adj").read_text())
    assert score > own


def test_a_job_that_has_ended_is_not_run_again(start: Any, tmp_path: Path) -> None:
    start("model=x", "finish").ended()
    again = start("fail=bad_data")
    again.ended()
    assert again.process.returncode == 0
    assert "ended before" in again.output


def test_what_a_machine_installed_first_counts_for_the_limits_and_the_bill(start: Any) -> None:
    hour = time.time() - 3600
    worker = start("steps=6000x0.1", environ={SINCE: str(hour)}, limits=Limits(max_seconds=1800))
    assert worker.ended().reason is EndReason.DEADLINE
    started = next(e for e in worker.events if isinstance(e, Started))
    assert started.at.timestamp() == pytest.approx(hour, abs=1)


def test_a_trackers_key_reaches_the_trainer_and_no_line_of_output(start: Any) -> None:
    token = "hf_" + "aB3" * 11
    worker = start(
        "env=HF_TOKEN",
        "env=WANDB_API_KEY",
        "fail=bad_data",
        environ={"HF_TOKEN": token, "WANDB_API_KEY": "not-for-your-eyes"},
    )
    worker.ended()
    kept = "".join(p.read_text() for p in worker.work.iterdir() if p.is_file())
    for text in (worker.output, kept):
        assert token not in text
        assert "not-for-your-eyes" not in text
    assert f"WANDB_API_KEY is {HIDDEN}" in worker.output
    assert "HF_TOKEN is None" in worker.output, "nothing here is on the Hub"


def test_the_trainer_cannot_speak_in_the_name_of_its_worker(start: Any) -> None:
    forged = '{"kind":"stopped","reason":"user"}'
    worker = start(f"print={forged}", f"print=@hubtrain {forged[:-1]}", "model=x", "finish")
    assert isinstance(worker.ended(), Finished)
    told = [e for line in worker.lines if (e := from_line(line))]
    assert not [e for e in told if isinstance(e, Stopped)]


def test_a_job_file_that_cannot_be_read_is_said_and_ends(tmp_path: Path) -> None:
    env = {**os.environ, "HUBTRAIN_JOB_FILE": str(tmp_path / "none.json")}
    done = subprocess.run(
        [sys.executable, "-m", "worker"],
        env={**env, "HUBTRAIN_WORK": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == EndReason.BAD_CONFIG.exit_code
    assert isinstance(from_line(done.stdout.splitlines()[0]), Failed)


def test_progress_bars_leave_only_their_last_word(start: Any) -> None:
    worker = start("print=10%\r50%\r100%", "fail=bad_data")
    worker.ended()
    assert "100%\n" in worker.lines
    assert "50%" not in worker.output


def test_a_hub_that_lends_no_accelerator_trains_on_the_cpu_and_says_so(start: Any) -> None:
    machine = Machine(backend="spaces", flavor="t4-small", accelerators=1, usd_per_hour=0.4)
    worker = start("steps=1", "model=x", machine=machine, environ={"ACCELERATORS": "0"})
    assert isinstance(worker.ended(), Finished)
    (started,) = [e for e in worker.events if isinstance(e, Started)]
    assert started.hardware["accelerators"] == 0
    assert "training runs on the CPU" in started.hardware["note"]
    assert started.hardware["note"] in worker.output


LIMITS = Limits(max_seconds=100.0, max_usd=1.0, hang_seconds=30.0)


@pytest.mark.parametrize(
    ("vitals", "price", "reason"),
    [
        (Vitals(now=99.0, started=0.0, last_event=98.0), 1.0, None),
        (Vitals(now=100.0, started=0.0, last_event=99.0), 1.0, EndReason.DEADLINE),
        (Vitals(now=90.0, started=0.0, last_event=60.0), 1.0, EndReason.HUNG),
        (Vitals(now=90.0, started=0.0, last_event=89.0), 40.0, EndReason.COST_CAP),
        (Vitals(now=90.0, started=0.0, last_event=89.0), 0.0, None),
    ],
)
def test_the_watchdog_decides(vitals: Vitals, price: float, reason: EndReason | None) -> None:
    ending = verdict(vitals, LIMITS, price)
    assert (ending.reason if ending else None) is reason


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.4, "0.4 s"), (40, "40 s"), (540, "9 min"), (7500, "2 h 05 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


@pytest.mark.parametrize(
    ("text", "size"),
    [("16Gi", 16 * 2**30), ("800Mi", 800 * 2**20), ("1024", 1024), ("", None), ("much", None)],
)
def test_sizes_of_machines(text: str, size: int | None) -> None:
    assert parse_bytes(text) == size


def test_the_redactor_knows_names_shapes_and_escapes() -> None:
    environ = {"HF_TOKEN": "tok-123456", "X_SECRET": 'a"b\\c-secret', "HOME": "/root", "A_KEY": "1"}
    redact = Redactor(environ)
    assert redact("x tok-123456 y") == f"x {HIDDEN} y"
    assert redact(json.dumps('a"b\\c-secret')) == f'"{HIDDEN}"'
    assert redact("hf_" + "z" * 34) == HIDDEN
    assert redact("from huggingface_hub import hf_hub_download, hf_transfer 1 /root") == (
        "from huggingface_hub import hf_hub_download, hf_transfer 1 /root"
    )


KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END KEY-----"
SECRETS = {
    "PGPASSWORD": "canary-postgres",
    "MYSQL_PWD": "canary-mysql",
    "DATABASE_URL": "postgres://ann:canary%40url@db/x",
    "GITHUB_PAT": "canary-github",
    "SMTP_PASS": "canary-smtp",
    "MYAPIKEY": "canary-apikey",
    "STRIPE_KEY": "canary-stripe",
    "https_proxy": "http://ann:canary-proxy@proxy:3128",
    "DEPLOY_KEY": KEY,
}
PLAIN = {"PWD": "/home/ann/work", "A_KEY": "true", "B_TOKEN": "default", "TOKENIZERS_X": "parallel"}


def test_the_redactor_knows_many_names_addresses_and_secrets_of_several_lines() -> None:
    redact = Redactor(SECRETS | PLAIN)
    for value in (*SECRETS.values(), "canary@url", "canary%40url", "ftp://bob:canary-other@host/"):
        assert "canary" not in redact(f"it is {value}.")
    for line in KEY.split("\n")[1:3]:
        assert redact(f"a {line} b") == f"a {HIDDEN} b"
    assert redact(json.dumps({"key": KEY})) == f'{{"key": "{HIDDEN}"}}'
    plain = "in /home/ann/work true default parallel; see https://hub/ann/x@main and a:b@c"
    assert redact(plain) == plain


@pytest.mark.parametrize("before", ["A" * (8192 - 5), "A" * (65536 - 5), "\r" + "A" * 65529 + "\r"])
def test_no_part_of_a_secret_is_left_where_a_line_is_cut(start: Any, before: str) -> None:
    token = "canary-" + "0123456789" * 4
    worker = start(f"print={before}{token}", "fail=bad_data", environ={"X_TOKEN": token})
    worker.ended()
    kept = (worker.work / "worker.log").read_text() + worker.output
    assert "canar" not in kept
    assert "0123456789" not in kept


class Noon:
    """A clock that stands still until it is told to sleep."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    def new_id(self) -> str:
        return "aaaaaa"


def test_a_journal_goes_on_where_its_file_ends_and_never_reuses_a_number(tmp_path: Path) -> None:
    clock = Noon()
    with (tmp_path / "out").open("w") as out:
        first = Journal(tmp_path, clock=clock, redact=str, out=out)
        before = [first.say(Phase(name=n)).seq for n in "abc"]
        first.close()
        with (tmp_path / "events.jsonl").open("a") as file:
            file.write('{"kind":"phase","na')  # killed in the middle of a line
        second = Journal(tmp_path, clock=clock, redact=str, out=out)
        after = second.say(Metric(step=1, values={"loss": 1.0})).seq
        second.close()
    assert after > max(before)
    assert len(list(read_events(tmp_path / "events.jsonl"))) == 4


def test_of_a_log_without_end_the_last_lines_are_kept_and_all_printed(
    tmp_path: Path,
) -> None:
    lines = MOST_LOG // LONGEST_LINE + 100
    with (tmp_path / "out").open("w") as out:
        journal = Journal(tmp_path, clock=Noon(), redact=str, out=out)
        reader = journal.log_path.open()
        for number in range(lines):
            journal.log(f"{number} ".ljust(LONGEST_LINE, "x"))
        journal.close()
    assert reader.readline().startswith("0 "), "who reads it is not disturbed"
    reader.close()
    kept = journal.log_path.read_text().splitlines()
    assert kept[0] == CUT and journal.log_path.stat().st_size < MOST_LOG
    assert kept[-1].startswith(f"{lines - 1} ") and len(kept) > TAIL_LINES
    assert (tmp_path / "out").stat().st_size == lines * (LONGEST_LINE + 1)


def test_a_draft_has_the_number_it_will_have(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        journal = Journal(tmp_path, clock=Noon(), redact=str, out=out)
        draft = journal.draft(Finished(), ahead=2)
        journal.say(Started(job_id="k4x"))
        told = journal.say(Finished(at=draft.at))
        journal.close()
    assert draft.seq == told.seq
