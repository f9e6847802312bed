"""Following a job: whatever logs, machine and network do, its end is told once and rightly."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import HfApi
from standins.localhub import HubServer
from standins.script import AWAY, PAUSED, RUNS, START, Far, Hurried, Scripted, told

from backends.base import Status
from backends.errors import JobGone
from orchestrator.jobs.records import Record, Records
from orchestrator.jobs.watch import STOP_SECONDS, Silence, Watch
from worker.contract import (
    DataRef,
    EndReason,
    Failed,
    Finished,
    JobSpec,
    Launched,
    Machine,
    ModelRef,
    Progress,
    PushTarget,
    Started,
    State,
)
from worker.errors import NoWrite

STARTED = told(10, Started(job_id="k4x7qp"), 1)
STEP = told(20, Progress(step=1, total_steps=2), 2)
FINISHED = told(60, Finished(), 3)
RUN = (STARTED, STEP, (21, "loss 1.2"), FINISHED)


def spec(push: str | None = None) -> JobSpec:
    return JobSpec(
        job_id="k4x7qp",
        project="p",
        owner="ann",
        task="llm",
        params={},
        model=ModelRef(name="m"),
        data=DataRef(),
        push=PushTarget(repo_id=push) if push else None,
        machine=Machine(backend="spaces", flavor="t4-small", usd_per_hour=3.6),
    )


def watch(tmp_path: Path, far: Far, job: JobSpec | None = None, token: str | None = None) -> Watch:
    records = Records(tmp_path)
    job = job or spec()
    records.claim("f", lambda: job, far.clock.now())
    handle = f"spaces://ann/p-{job.job_id}"
    records.add(job.job_id, [Launched(handle=handle, at=far.clock.now(), source="laptop")])
    return Watch(records.get(job.job_id), Scripted(far, token), records, far.clock)


@pytest.fixture
def clock() -> Hurried:
    return Hurried()


def outcome(record: Record) -> tuple[State, EndReason | None, bool | None]:
    return record.story.state, record.story.reason, record.story.costing


SUCCEEDED = (State.SUCCEEDED, EndReason.OK, False)


def test_a_job_is_followed_to_its_end_and_until_it_costs_nothing(
    tmp_path: Path, clock: Hurried
) -> None:
    far = Far(clock, [(0, RUNS), (65, PAUSED)], [RUN])
    one = watch(tmp_path, far)
    lines: list[str] = []
    one.on_line = lines.append
    assert outcome(one.follow()) == SUCCEEDED
    assert lines == ["loss 1.2"]
    assert far.cancelled == [], "the worker stopped its machine itself"
    assert one.record.story.cost(3.6, clock.now()) == pytest.approx(0.05)


def test_a_log_that_breaks_off_is_read_again_and_nothing_is_told_twice(
    tmp_path: Path, clock: Hurried
) -> None:
    refused = NoWrite("403")
    far = Far(
        clock, [(0, RUNS), (65, PAUSED)], [[refused], [STARTED, STEP, (21, "a"), refused], RUN]
    )
    one = watch(tmp_path, far)
    lines: list[str] = []
    one.on_line = lines.append
    assert outcome(one.follow()) == SUCCEEDED
    assert lines == ["a"]
    assert [e.kind for e in one.record.events if e.source == "worker"] == [
        "started",
        "progress",
        "finished",
    ]


def test_a_provider_that_is_away_for_a_while_changes_nothing(
    tmp_path: Path, clock: Hurried
) -> None:
    far = Far(clock, [(0, RUNS), (5, AWAY), (300, PAUSED)], [[AWAY], RUN])
    assert outcome(watch(tmp_path, far).follow()) == SUCCEEDED


def test_a_provider_that_is_away_is_told_once_with_the_time_and_so_is_its_return(
    tmp_path: Path, clock: Hurried
) -> None:
    far = Far(clock, [(0, RUNS), (5, AWAY), (300, RUNS), (310, PAUSED)], [[AWAY], RUN])
    one = watch(tmp_path, far)
    told: list[Silence] = []
    one.on_silence = told.append
    assert outcome(one.follow()) == SUCCEEDED
    away, back = told
    assert away.why == "no answer" and (away.since - START).total_seconds() < 6
    assert back.why == "" and back.since == away.since
    assert (back.now - START).total_seconds() > 60
    assert away.said.startswith("no answer Not heard of since ") and "goes on" in away.said
    assert back.said.startswith("its provider answers again, after ")


def test_one_question_without_an_answer_is_not_told(tmp_path: Path, clock: Hurried) -> None:
    far = Far(clock, [(0, RUNS), (5, AWAY), (6, RUNS), (65, PAUSED)], [RUN])
    one = watch(tmp_path, far)
    told: list[Silence] = []
    one.on_silence = told.append
    assert outcome(one.follow()) == SUCCEEDED
    assert told == []


def test_a_machine_that_comes_back_is_not_lost(tmp_path: Path, clock: Hurried) -> None:
    far = Far(clock, [(0, RUNS), (15, PAUSED), (16, RUNS), (70, PAUSED)], [RUN])
    assert outcome(watch(tmp_path, far).follow()) == SUCCEEDED


def test_a_machine_that_dies_without_a_word_is_lost_and_bills_to_its_last_sign_of_life(
    tmp_path: Path, clock: Hurried
) -> None:
    far = Far(clock, [(0, RUNS), (30, PAUSED)], [[STARTED, STEP]])
    clock.seconds = 86400.0  # the laptop slept for a day
    record = watch(tmp_path, far).follow()
    assert outcome(record) == (State.LOST, EndReason.WORKER_DIED, False)
    assert record.story.cost(3.6, clock.now()) == pytest.approx(0.01)


def test_a_machine_that_is_gone_is_lost(tmp_path: Path, clock: Hurried) -> None:
    far = Far(clock, [(0, RUNS), (30, JobGone("404"))], [[STARTED]])
    record = watch(tmp_path, far).follow()
    assert outcome(record) == (State.LOST, EndReason.WORKER_DIED, False)
    assert "gone" in record.story.message


def test_an_image_that_cannot_be_built_says_so_with_the_end_of_the_build_log(
    tmp_path: Path, clock: Hurried
) -> None:
    broken = Status(
        alive=False,
        costing=False,
        stage="BUILD_ERROR",
        detail="exit code 1",
        reason=EndReason.BUILD_ERROR,
    )
    building = Status(alive=True, costing=False, stage="BUILDING")
    far = Far(clock, [(0, building), (40, broken)], build=["RUN pip install", "no such package"])
    record = watch(tmp_path, far).follow()
    assert outcome(record) == (State.FAILED, EndReason.BUILD_ERROR, False)
    assert record.story.message == "exit code 1"
    assert record.story.detail == "RUN pip install\nno such package"


def test_a_machine_that_its_user_stopped_elsewhere_is_cancelled(
    tmp_path: Path, clock: Hurried
) -> None:
    """On the provider's own page, say, and before the worker could tell anything."""
    ended = Status(alive=False, costing=False, stage="CANCELED", reason=EndReason.USER)
    record = watch(tmp_path, Far(clock, [(0, RUNS), (40, ended)], [[STARTED]])).follow()
    assert outcome(record) == (State.CANCELLED, EndReason.USER, False)


def test_a_machine_that_does_not_stop_by_itself_is_stopped(tmp_path: Path, clock: Hurried) -> None:
    far = Far(clock, [(0, RUNS)], [RUN])
    assert outcome(watch(tmp_path, far).follow()) == SUCCEEDED
    (at,) = far.cancelled
    assert at >= 60 + STOP_SECONDS


def test_a_machine_that_nothing_stops_is_said_to_cost(tmp_path: Path, clock: Hurried) -> None:
    far = Far(clock, [(0, RUNS)], [RUN], stops_after=None)
    assert outcome(watch(tmp_path, far).follow()) == (State.SUCCEEDED, EndReason.OK, True)


def test_a_token_that_is_revoked_after_the_end_does_not_hide_the_end(
    tmp_path: Path, clock: Hurried
) -> None:
    far = Far(clock, [(0, RUNS), (61, NoWrite("401"))], [RUN])
    assert outcome(watch(tmp_path, far).follow()) == (State.SUCCEEDED, EndReason.OK, True)


def test_a_token_that_may_not_see_the_machine_does_not_make_it_lost(
    tmp_path: Path, clock: Hurried
) -> None:
    far = Far(clock, [(0, RUNS), (15, NoWrite("bob is not ann"))], [[STARTED]])
    one = watch(tmp_path, far)
    with pytest.raises(NoWrite):
        one.follow()
    assert one.record.story.state is State.RUNNING


def test_cancelling_stops_the_machine_and_keeps_the_intent(tmp_path: Path, clock: Hurried) -> None:
    clock.seconds = 30
    far = Far(clock, [(0, RUNS)], [[STARTED, STEP]])
    assert outcome(watch(tmp_path, far).cancel()) == (State.CANCELLED, EndReason.USER, False)
    assert far.cancelled == [30]


def test_cancelling_a_job_that_has_succeeded_unseen_leaves_it_so(
    tmp_path: Path, clock: Hurried
) -> None:
    clock.seconds = 100
    far = Far(clock, [(0, PAUSED)], [RUN])
    assert outcome(watch(tmp_path, far).cancel()) == SUCCEEDED
    assert far.cancelled == []


def test_a_job_that_finished_while_it_was_being_cancelled_has_succeeded(
    tmp_path: Path, clock: Hurried
) -> None:
    clock.seconds = 59.9
    far = Far(clock, [(0, RUNS)], [RUN])
    record = watch(tmp_path, far).cancel()
    assert outcome(record) == SUCCEEDED
    assert record.story.message == ""


def test_two_looks_at_one_job_count_its_events_once(tmp_path: Path, clock: Hurried) -> None:
    clock.seconds = 50
    far = Far(clock, [(0, RUNS)], [RUN])
    one = watch(tmp_path, far)
    first = one.refresh()
    assert one.refresh().events == first.events
    assert [e.kind for e in first.events] == [
        "created",
        "launched",
        "observed",
        "started",
        "progress",
    ]


@pytest.fixture
def api(shared_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HfApi:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return shared_hub.api()


def archive(api: HfApi, repo_id: str, branch: str, *lines: tuple[float, str]) -> None:
    api.create_repo(repo_id, exist_ok=True)
    if branch != "main":
        api.create_branch(repo_id, branch=branch)
    content = "".join(line.partition(" ")[2] + "\n" for _, line in lines)
    api.upload_file(
        repo_id=repo_id,
        path_or_fileobj=content.encode(),
        path_in_repo="events.jsonl",
        revision=branch,
    )


@pytest.mark.parametrize("ending", ["success", "failure", "of another job"])
def test_the_end_of_a_machine_without_logs_is_read_from_the_hub(
    api: HfApi, tmp_path: Path, clock: Hurried, ending: str
) -> None:
    repo_id = f"ann/{ending.replace(' ', '-')}"
    oom = told(30, Failed(reason=EndReason.OOM, message="too large"), 2)
    match ending:
        case "success":
            archive(api, repo_id, "main", STARTED, STEP, FINISHED)
            expected = SUCCEEDED
        case "failure":
            archive(api, repo_id, "hubtrain-k4x7qp", STARTED, oom)
            expected = (State.FAILED, EndReason.OOM, False)
        case _:
            archive(api, repo_id, "main", told(1, Started(job_id="other"), 1), FINISHED)
            expected = (State.LOST, EndReason.WORKER_DIED, False)
    one = watch(tmp_path, Far(clock, [(0, PAUSED)]), spec(repo_id), str(api.token))
    assert outcome(one.follow()) == expected


def test_while_the_hub_is_away_a_dead_machine_is_not_the_last_word(
    api: HfApi, tmp_path: Path, clock: Hurried, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(api, "ann/later", "main", STARTED, STEP, FINISHED)
    there = api.endpoint
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    one = watch(tmp_path, Far(clock, [(0, PAUSED)]), spec("ann/later"), str(api.token))
    assert one.refresh().story.state is State.LOST
    assert not one.record.ended
    monkeypatch.setenv("HF_ENDPOINT", there)
    assert outcome(one.refresh()) == SUCCEEDED
