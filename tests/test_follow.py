"""Ctrl-C at the terminal: what is left, and how to come back to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from standins.script import START, Hurried

from orchestrator.jobs.glance import Glance
from orchestrator.jobs.records import Record
from orchestrator.jobs.seen import glance_of
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.follow import detachable, unlaunched
from orchestrator.terminal.listing import ROW, rows
from orchestrator.terminal.stages import Lines, training_note
from worker.contract import (
    Checkpoint,
    DataRef,
    EndReason,
    Failed,
    JobSpec,
    Launched,
    Machine,
    Metric,
    ModelRef,
    Progress,
    Start,
    Stopped,
)
from worker.errors import NoWrite

SPEC = JobSpec(
    job_id="k4x7qp",
    project="p",
    task="llm",
    params={},
    model=ModelRef(name="m"),
    data=DataRef(),
    machine=Machine(backend="local"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    run = tmp_path / "runs" / "k4x7qp"
    run.mkdir(parents=True)
    for name, text in (("pid", "1"), ("page.key", "its-own-key")):
        (run / name).write_text(text)
    return tmp_path


def desk(*, as_json: bool = False) -> Desk:
    made = Desk(as_json, clock=Hurried())
    made.records.claim("f", lambda: SPEC, START)
    launched = Launched(handle="local://k4x7qp", url="http://page", at=START, source="laptop")
    made.records.add("k4x7qp", [launched])
    return made


def test_while_a_job_is_sent_it_says_how_to_go_on(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, unlaunched(desk()):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert (
        capsys.readouterr().out
        == """
  Interrupted before the job was launched.
  go on       the same command: what has been sent is not sent again, nor made twice
  leave it    hubtrain gc finds and stops whatever is left at a provider
"""
    )


def test_while_a_job_runs_it_is_left_running(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = desk()
    with pytest.raises(SystemExit) as ended, detachable(made, made.record("k4x7qp")):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert (
        capsys.readouterr().out
        == """
  Left running as k4x7qp. Nothing was stopped.
  watch again   hubtrain logs -f k4x7qp        stop it   hubtrain cancel k4x7qp
  page          http://page?key=its-own-key
"""
    )


def test_a_pipe_is_told_how_far_a_stage_came() -> None:
    said: list[str] = []
    lines = Lines(said.append, Hurried())
    for step in range(4):
        lines.show("Training", step / 4, f"step {step}/4")
    lines.show("pushing", None, "")
    assert said == ["Training       0%  step 0/4", "Training      75%  step 3/4", "Pushing"]
    lines.show("sending", 0.0, "")
    lines.show("sending", 0.5, "half")
    lines.close()
    assert said[3:] == ["Sending        0%", "Sending       50%  half"]
    for _ in range(2):
        lines.show("packing", 1.0, "")
    lines.close()
    assert said[5:] == ["Packing      100%"]


@pytest.mark.parametrize(
    ("trainer", "note", "cell"),
    [("grpo", "reward 0.250", "reward 0.250"), ("sft", "loss 1.132", "1.132")],
)
def test_what_tells_most_is_told_while_a_job_runs(trainer: str, note: str, cell: str) -> None:
    spec = SPEC.model_copy(update={"params": {"trainer": trainer}})
    values = {"loss": 1.132, "reward": 0.25}
    progress = Progress(step=1, total_steps=2, units=3, unit="tokens", at=START)
    record = Record(spec, (progress, Metric(step=1, values=values, at=START)))
    assert training_note(record, START).split(" · ")[1] == note
    (row,) = rows([glance_of(record)], START)
    assert row[ROW.index("LOSS")] == cell


def test_a_list_says_which_jobs_can_be_gone_on_with() -> None:
    sent = Checkpoint(step=20, where=f"ann/bot@{'c' * 40}", at=START)
    over = Stopped(reason=EndReason.DEADLINE, at=START)
    job = SPEC.model_copy(update={"machine": Machine(backend="spaces")})
    start = Start(jobs=("k4x7qp",), step=20, repo_id="ann/bot", revision="c" * 40)
    later = job.model_copy(update={"job_id": "c07", "start": start})
    first = glance_of(Record(job, (sent, over)))
    second, running = (glance_of(Record(later, e)) for e in ((sent, over), (sent,)))

    def states(*jobs: Glance) -> list[str]:
        return [row[ROW.index("STATE")] for row in rows(jobs, START)]

    resumable, over_with = "failed, resumable (deadline) 0 s ago", "failed (deadline) 0 s ago"
    assert states(first) == [resumable]
    assert states(second, first) == [resumable, over_with]
    assert states(running, first)[1] == over_with


def test_a_job_that_has_ended_is_not_said_to_run(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = desk(as_json=True)
    seen = made.record("k4x7qp")
    made.records.add("k4x7qp", [Failed(reason=EndReason.OOM, message="x", at=START, seq=1)])
    with pytest.raises(SystemExit) as ended, detachable(made, seen):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert json.loads(capsys.readouterr().out)["reason"] == "oom"


def test_a_watch_that_fails_says_that_the_job_goes_on(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = desk()
    with pytest.raises(NoWrite), detachable(made, made.record("k4x7qp")):
        raise NoWrite("the Hub refused this token")
    assert "Left running as k4x7qp. Nothing was stopped." in capsys.readouterr().out
