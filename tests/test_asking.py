"""What is said of a job when its provider cannot be asked, or belongs to another Hub."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standins.script import AWAY, PAUSED, RUNS, START, Far, Hurried
from test_cli import run
from test_gc import FINISHED, HANDLE, SPEC, STARTED, Office, office
from test_watch import RUN, outcome, watch

from orchestrator.jobs.gc import sweep
from orchestrator.jobs.records import Records
from worker.contract import (
    CancelAsked,
    EndReason,
    Finished,
    Launched,
    Metric,
    Observed,
    Started,
    State,
    Stopped,
    fold,
    to_line,
)
from worker.errors import NoWrite

AWAY_HUB = "http://127.0.0.1:9"
NOON = datetime.now(UTC) - timedelta(hours=2)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hurried:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    return Hurried()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The records of a job that costs, made for a Hub that does not answer."""
    monkeypatch.setenv("HF_ENDPOINT", AWAY_HUB)
    records = Records(tmp_path)
    records.claim("f", lambda: SPEC, NOON)
    seen = Observed(stage="RUNNING", alive=True, costing=True, at=NOON, source="laptop")
    launched = Launched(handle=HANDLE, at=NOON, source="laptop")
    records.add("k4x7qp", [launched, Started(job_id="k4x7qp", at=NOON, seq=1), seen])
    records.asked("k4x7qp", NOON)
    return tmp_path


def as_of() -> str:
    """The time of the last answer, with its date once midnight has passed since."""
    then = NOON.astimezone()
    day = "" if then.date() == datetime.now().astimezone().date() else f"{then:%Y-%m-%d} "
    return f"as of {day}{then:%H:%M}"


def test_a_wish_to_cancel_that_is_not_heard_is_no_end(tmp_path: Path, clock: Hurried) -> None:
    clock.seconds = 30
    one = watch(tmp_path, Far(clock, [(0, AWAY)], [[AWAY]], refuses=AWAY))
    one.cancel()
    assert one.problem is AWAY
    assert outcome(one.record) == (State.QUEUED, None, None)
    assert one.record.story.cancel_asked_at == clock.now()


def test_a_wish_to_cancel_a_job_that_had_succeeded_is_not_its_end(
    tmp_path: Path, clock: Hurried
) -> None:
    clock.seconds = 100
    far = Far(clock, [(0, AWAY), (110, PAUSED)], [[AWAY], RUN], refuses=AWAY)
    one = watch(tmp_path, far)
    one.cancel()
    assert not one.record.story.state.final
    clock.seconds = 120
    assert outcome(one.refresh()) == (State.SUCCEEDED, EndReason.OK, False)


def test_a_wish_is_the_end_once_the_machine_is_known_to_be_gone(
    tmp_path: Path, clock: Hurried
) -> None:
    clock.seconds = 30
    far = Far(clock, [(0, RUNS), (20, NoWrite("bob is not ann")), (60, PAUSED)], [[]])
    one = watch(tmp_path, far)
    one.cancel()
    assert isinstance(one.problem, NoWrite) and not one.record.ended
    clock.seconds = 70
    assert outcome(one.refresh()) == (State.CANCELLED, EndReason.USER, False)
    assert one.record.ended and one.problem is None


def test_a_worker_that_was_stopped_from_outside_was_stopped_by_whom_wished_it() -> None:
    taken = Stopped(reason=EndReason.PREEMPTED, message="The machine was taken away.")
    wish = CancelAsked(source="laptop")
    started = Started(job_id="k4x7qp")
    assert fold([started, wish, taken]).state is State.CANCELLED
    assert fold([started, taken, wish]).reason is EndReason.PREEMPTED
    assert fold([started, wish]).state is State.RUNNING
    assert fold([started, wish, Finished()]).state is State.SUCCEEDED


def test_jobs_says_what_is_not_known_now_and_since_when(home: Path) -> None:
    done = run(home, "jobs", HF_TOKEN="hf_abcdefghijklmnopqrstuv")
    assert done.returncode == 1
    assert f"({as_of()})" in done.stdout
    assert "not asked  k4x7qp: " in done.stdout and f"no answer from {AWAY_HUB}" in done.stdout
    assert "Costing now: k4x7qp $3.60/h" in done.stdout
    (job,) = json.loads(run(home, "jobs", "--json", HF_TOKEN="hf_abcdefghijklmnop").stdout)
    assert job["as_of"] == NOON.isoformat() and job["hub"] == AWAY_HUB and job["unanswered"]
    assert run(home, "jobs", "--offline").returncode == 0


def test_status_cancel_and_gc_say_it_too(home: Path) -> None:
    said = run(home, "status", "p", HF_TOKEN="hf_abcdefghijklmnopqrstuv")
    assert said.returncode == 1
    assert f"not asked  {as_of()}; " in said.stdout
    said = run(home, "cancel", "latest", HF_TOKEN="hf_abcdefghijklmnopqrstuv")
    assert said.returncode == 1
    assert "it is not known to have stopped; that you want it to is noted" in said.stdout
    assert "Cancelled" not in said.stdout
    said = run(home, "gc", HF_TOKEN="hf_abcdefghijklmnopqrstuv")
    assert said.returncode == 1
    assert "Nothing is left over" not in said.stdout
    assert "Nothing was found, but not everything could be asked." in said.stdout


@pytest.mark.parametrize("words", [["status", "k4x7qp"], ["cancel", "k4x7qp"], ["gc"], ["jobs"]])
def test_a_job_of_another_hub_is_named_and_not_asked_here(home: Path, words: list[str]) -> None:
    other = "http://127.0.0.1:7"
    done = run(home, *words, HF_ENDPOINT=other, HF_TOKEN="hf_abcdefghijklmnopqrstuv")
    assert done.returncode == 1
    assert AWAY_HUB in done.stdout + done.stderr
    assert f"no answer from {other}: asking about spaces" not in done.stdout


def test_records_of_an_earlier_version_go_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db, db:
        db.execute("create table jobs (job_id text primary key, fingerprint text, spec text)")
        db.execute("insert into jobs values ('k4x7qp', 'f', ?)", (SPEC.model_dump_json(),))
    record = Records(tmp_path).get("k4x7qp")
    assert (record.hub, record.asked_at) == ("", None)
    Records(tmp_path).asked("k4x7qp", NOON)
    assert Records(tmp_path).get("k4x7qp").asked_at == NOON


def test_jobs_are_found_by_project_and_as_the_latest(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for job_id, project in (("aaa", "bot"), ("bbb", "bot"), ("ccc", "spam")):
        spec = SPEC.model_copy(update={"job_id": job_id, "project": project})
        records.claim(job_id, lambda spec=spec: spec, NOON)  # type: ignore[misc]
    assert records.get("spam").job_id == records.get("latest").job_id == "ccc"
    with pytest.raises(Exception, match="'bot' could be bbb, aaa"):
        records.get("bot")


def test_what_was_cancelled_and_lives_on_is_a_leftover(clock: Hurried) -> None:
    clock.seconds = 600
    desk = office(Far(clock, [(0, RUNS)]), STARTED, CancelAsked(at=START, source="laptop"))
    assert sweep(desk, ["ann"]).leftovers[HANDLE].why == "you cancelled it 10 min ago"


def local_job(home: Path, *events: Any) -> None:
    """Write down a job of this machine whose worker is gone, with its log."""
    spec = SPEC.model_copy(update={"machine": SPEC.machine.model_copy(update={"backend": "local"})})
    records = Records(home)
    records.claim("f", lambda: spec, NOON)
    records.add("k4x7qp", [Launched(handle="local://k4x7qp", at=NOON, source="laptop")])
    folder = home / "runs" / "k4x7qp"
    folder.mkdir(parents=True)
    lines = ["@hubtrain " + to_line(e) for e in events]
    (folder / "log.txt").write_text("\n".join(["hello", *lines]) + "\n")
    (folder / "pid").write_text("0")


LOSSES = Metric(step=20, values={"loss": 1.13214, "lr": 0.0001}, at=NOON, seq=2)
BEGUN = Started(job_id="k4x7qp", at=NOON, seq=1)


def test_the_log_of_a_job_shows_its_losses(tmp_path: Path) -> None:
    local_job(tmp_path, BEGUN, LOSSES, Finished(at=NOON, seq=3))
    said = run(tmp_path, "logs", "p")
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == ["hello", "step 20 · loss 1.132 · lr 0.0001"]


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Finished(at=NOON, seq=3), 0),
        (Stopped(reason=EndReason.DEADLINE, at=NOON, seq=3), 1),
        (None, 1),
    ],
)
def test_following_as_json_exits_as_the_job_did(tmp_path: Path, ending: Any, code: int) -> None:
    local_job(tmp_path, BEGUN, *filter(None, [ending]))
    said = run(tmp_path, "logs", "-f", "latest", "--json")
    assert said.returncode == code, said.stderr
    assert json.loads(said.stdout.splitlines()[0]) == {"line": "hello"}


def test_an_ended_job_is_not_asked_again(clock: Hurried) -> None:
    desk: Office = office(Far(clock, [(0, AWAY)]), STARTED, FINISHED)
    seen = Observed(stage="PAUSED", alive=False, costing=False, at=START, source="laptop")
    desk.records.add("k4x7qp", [seen])
    assert desk.refreshed(desk.record("k4x7qp")).unanswered == ""
