"""Checkpoints on the Hub while a stand-in trains: what is kept, what is freed, what goes on."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standins.localhub import HubServer
from standins.waiting import until
from test_supervise import Worker, spec

from worker import checkpoints
from worker.contract import (
    Checkpoint,
    EndReason,
    Failed,
    Finished,
    JobSpec,
    Limits,
    Machine,
    Phase,
    PushTarget,
    Start,
    Started,
    fold,
)
from worker.supervise.journal import read_events

pytestmark = pytest.mark.slow

NUMBERS = itertools.count()
SPACE = "ann/space"
SAVED = ("save=5", "sleep=0.5", "save=10", "sleep=0.5", "save=15")


@pytest.fixture
def repo() -> str:
    """A model repo that no other test has."""
    return f"ann/bot{next(NUMBERS)}"


@pytest.fixture
def start(tmp_path: Path, shared_hub: HubServer, repo: str) -> Iterator[Any]:
    """Start workers that push to the repo, each in a folder of its own unless it is given one."""
    workers: list[Worker] = []

    def made(
        *acts: str, folder: str = "", space: str = "", environ: Any = None, **changes: Any
    ) -> Worker:
        home = tmp_path / (folder or f"worker{len(workers)}")
        home.mkdir(exist_ok=True)
        job = spec(push=PushTarget(repo_id=repo), **changes)
        if space:  # one that can be paused, so that the end is not waited for
            space = f"{space}{next(NUMBERS)}"
            shared_hub.api().create_repo(space, repo_type="space", space_sdk="docker")
        environ = environ or ({"SPACE_ID": space, "ACCELERATOR": "none"} if space else {})
        workers.append(Worker(home, job, *acts, **shared_hub.env("ann", **environ)))
        return workers[-1]

    yield made
    for worker in workers:
        worker.close()


def stored(hub: HubServer, repo: str) -> dict[str, str]:
    """Return the large files that a repo keeps, by their hash."""
    return {f.file_oid: f.filename for f in hub.api().list_lfs_files(repo)}


def on_disk(hub: HubServer, sha256: str) -> bool:
    return any(path.name == sha256 for path in hub.data.rglob(sha256))


def job(repo: str) -> JobSpec:
    return spec(push=PushTarget(repo_id=repo))


def folder_of(tmp_path: Path, step: int) -> Path:
    folder = tmp_path / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights" * 100 + bytes([step]))
    (folder / "same.bin").write_bytes(b"always the same" * 100)
    return folder


def test_the_last_two_stay_and_what_they_replace_is_freed(
    shared_hub: HubServer, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    token, api = shared_hub.tokens["ann"], shared_hub.api()
    api.create_repo(repo)
    folders = {step: folder_of(tmp_path, step) for step in (1, 2, 3, 4)}
    # The model of the user's own branch is the first checkpoint's, and has to stay.
    api.upload_file(
        repo_id=repo,
        path_in_repo="model.safetensors",
        path_or_fileobj=folders[1] / "model.safetensors",
    )
    (main,) = stored(shared_hub, repo)
    seen = set[str]()
    for step, folder in folders.items():
        commit = checkpoints.push(job(repo), step, folder, {"job.json": "{}"}, token)
        seen |= stored(shared_hub, repo).keys()
    there = checkpoints.found(repo, commit, token)
    assert [one.step for one in there] == [4, 3]
    assert there[0].files == ("model.safetensors", "same.bin")
    assert len(api.list_repo_commits(repo, revision="hubtrain-k4x")) == 1
    kept = stored(shared_hub, repo)
    assert len(seen) == 5 and len(kept) == 4 and main in kept
    assert [on_disk(shared_hub, sha) for sha in seen - kept.keys()] == [False]
    fetched = checkpoints.fetch(repo, commit, 4, tmp_path / "start", token)
    assert (fetched / "model.safetensors").read_bytes()[-1] == 4
    checkpoints.remove(repo, "hubtrain-k4x", token, whole=False)
    assert checkpoints.found(repo, "hubtrain-k4x", token) == []
    assert stored(shared_hub, repo).keys() == {main}
    assert "job.json" in api.list_repo_files(repo, revision="hubtrain-k4x")
    checkpoints.remove(repo, "hubtrain-k4x", token, whole=True)
    checkpoints.remove(repo, "hubtrain-k4x", token, whole=True)
    assert [b.name for b in api.list_repo_refs(repo).branches] == ["main"]


def test_a_failed_job_leaves_its_last_checkpoints_and_says_that_it_can_go_on(
    start: Any, shared_hub: HubServer, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    worker = start(*SAVED, "fail=bad_data", space=SPACE)
    ending = worker.ended()
    assert isinstance(ending, Failed)
    assert ending.message == "The trainer says why. Training can go on from step 15."
    last = fold(worker.events).pushed_checkpoint
    assert last is not None and last.step == 15 and last.on_hub is not None
    token = shared_hub.tokens["ann"]
    assert checkpoints.found(*last.on_hub, token)[0].step == 15
    branch = set(shared_hub.api().list_repo_files(repo, revision="hubtrain-k4x"))
    assert {"job.json", "events.jsonl", "log.txt"} <= branch
    assert not any(worker.work.joinpath("sending").iterdir())


def test_a_model_that_is_there_needs_no_checkpoints(
    start: Any, shared_hub: HubServer, repo: str
) -> None:
    worker = start(*SAVED, "model=x", "finish")
    assert isinstance(worker.ended(), Finished)
    assert any(isinstance(e, Checkpoint) and e.on_hub for e in worker.events)
    assert [b.name for b in shared_hub.api().list_repo_refs(repo).branches] == ["main"]
    assert set(stored(shared_hub, repo).values()) == {"model.safetensors"}


def test_a_push_that_never_works_leaves_the_last_checkpoint(
    start: Any, shared_hub: HubServer, repo: str
) -> None:
    shared_hub.fault({"status": 403}, path=rf"/api/models/{repo}/commit/main", times=None)
    try:
        ending = start(*SAVED, "model=x", "finish", space=SPACE).ended()
    finally:
        shared_hub.clear_faults()
    assert ending.reason is EndReason.PUSH_FAILED
    assert ending.message.endswith("Training can go on from step 15.")


def test_checkpoints_are_left_where_that_is_asked_for(
    start: Any, shared_hub: HubServer, repo: str
) -> None:
    params = {**spec().params, "keep_checkpoints": True}
    assert isinstance(
        start("save=5", "sleep=1", "model=x", "finish", params=params).ended(), Finished
    )
    files = shared_hub.api().list_repo_files(repo, revision="hubtrain-k4x")
    assert "checkpoints/checkpoint-5/optimizer.pt" in files


@pytest.mark.parametrize("space", [SPACE, ""])
def test_a_machine_that_is_started_again_goes_on_where_it_was(
    start: Any, shared_hub: HubServer, repo: str, space: str
) -> None:
    """A Space has lost its disk, another machine has not: both go on, the clock of limits too."""
    first = start(*SAVED, "sleep=60", space=space, folder="one")
    until_pushed(first, 15)
    first.process.kill()
    first.process.wait()
    again = start("model=x", "finish", space=space, folder="two" if space else "one")
    assert isinstance(again.ended(), Finished)
    assert "Training goes on from step 15" in again.output
    beside = shared_hub.api().hf_hub_download(repo, "events.jsonl")
    story = fold(read_events(Path(beside)))
    assert [metric.step for metric in story.history][:3] == [5, 10, 15]
    assert story.started_at == fold(first.events).started_at


def until_pushed(worker: Worker, step: int) -> None:
    for event in worker.read():
        if isinstance(event, Checkpoint) and event.on_hub and event.step == step:
            return
    raise AssertionError(worker.output)


def test_before_a_limit_there_is_time_to_save_and_send(start: Any) -> None:
    worker = start(
        *("save=5", "save-when-asked=7", "steps=6000x0.1"),
        limits=Limits(max_seconds=20.0),
        space=SPACE,
    )
    ending = worker.ended()
    assert ending.reason is EndReason.DEADLINE
    assert ending.message.endswith("was reached. Training can go on from step 7.")
    last = fold(worker.events).pushed_checkpoint
    assert last is not None and last.step == 7
    began = next(e.at for e in worker.events if isinstance(e, Started))
    saved = next(e.at for e in worker.events if isinstance(e, Checkpoint) and e.step == 7)
    assert (saved - began).total_seconds() < 20.0


def test_a_machine_that_is_taken_away_sends_what_it_has(start: Any) -> None:
    worker = start("save-when-asked=7", "steps=6000x0.1", space=SPACE)
    worker.until("progress")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.ended().message == "The machine was taken away. Training can go on from step 7."


def test_a_machine_that_is_started_again_and_again_and_gets_no_further_ends(
    start: Any, repo: str, shared_hub: HubServer
) -> None:
    """A Space that is killed has lost all but what it told the Hub, its starts included."""
    shared_hub.api().create_repo(f"{repo}-space", repo_type="space", space_sdk="docker")
    there = {"SPACE_ID": f"{repo}-space", "ACCELERATOR": "none"}

    def killed(*acts: str, step: int | None) -> None:
        worker = start(*acts, "say=ready", "sleep=600", environ=there)
        if step is None:
            next(e for e in worker.read() if isinstance(e, Phase) and e.name == "ready")
        else:
            until_pushed(worker, step)
        worker.process.kill()

    for acts, step in (((), None), ((), None), (("save=5",), 5), ((), None), ((), None)):
        killed(*acts, step=step)
    killed(step=None)
    last = start("save=10", "model=x", "finish", environ=there)
    ending = last.ended()
    assert isinstance(ending, Failed)
    assert ending.message.startswith(
        "The machine was started 3 times without getting further than step 5."
    )
    assert "Training begins" not in last.output and "goes on from" not in last.output


def test_a_hub_that_takes_none_ends_no_training(
    start: Any, shared_hub: HubServer, repo: str
) -> None:
    path = rf"/api/models/{repo}/commit/hubtrain-k4x"
    shared_hub.fault({"status": 403}, path=path, times=None)
    try:
        worker = start(*SAVED, "sleep=1", "model=x", "finish")
        assert isinstance(worker.ended(), Finished)
    finally:
        shared_hub.clear_faults()
    assert "pushing the checkpoint of step 5" in worker.output and "403" in worker.output
    assert "model.safetensors" in shared_hub.api().list_repo_files(repo)


def test_of_checkpoints_that_come_faster_than_they_are_sent_the_newest_wins(
    start: Any, shared_hub: HubServer, repo: str, tmp_path: Path
) -> None:
    path, sending = rf"/api/models/{repo}/commit/hubtrain-k4x", tmp_path / "sending"
    shared_hub.fault({"delay": 3.0}, path=path, nth=2)  # the first says that the Space began
    try:
        saved = ("save=5", f"until={sending}", "save=10", "save=15", "save=20")
        worker = start(*saved, "fail=oom", space=SPACE)
        until(lambda: any(rule["happened"] for rule in shared_hub.admin("GET", "faults")))
        sending.touch()
        worker.ended()
    finally:
        shared_hub.clear_faults()
    sent = [e.step for e in worker.events if isinstance(e, Checkpoint) and e.on_hub]
    assert sent == [5, 20]


def test_a_resumed_job_tells_what_was_measured_before_and_clears_up_behind_both(
    start: Any, shared_hub: HubServer, repo: str
) -> None:
    first = start(*SAVED, "fail=oom", space=SPACE)
    first.ended()
    last = fold(first.events).pushed_checkpoint
    assert last is not None and last.on_hub is not None
    repo_id, commit = last.on_hub
    begun = Start(jobs=("k4x",), step=15, repo_id=repo_id, revision=commit)
    second = start("save=20", "model=x", "finish", job_id="c07", start=begun, space=SPACE)
    assert isinstance(second.ended(), Finished)
    assert [metric.step for metric in fold(second.events).history] == [5, 10, 15, 20]
    assert "Training goes on from step 15" in second.output
    assert set(stored(shared_hub, repo).values()) == {"model.safetensors"}
    branches = {b.name for b in shared_hub.api().list_repo_refs(repo).branches}
    assert branches == {"main", "hubtrain-k4x"}  # the record of the first stays


def test_a_checkpoint_that_is_gone_is_said(start: Any, shared_hub: HubServer, repo: str) -> None:
    shared_hub.api().create_repo(repo)
    begun = Start(jobs=("k4x",), step=15, repo_id=repo, revision="a" * 40)
    ending = start("model=x", job_id="c07", start=begun, machine=Machine(backend="local")).ended()
    assert ending.reason is EndReason.BAD_CONFIG
    assert "checkpoint of step 15" in ending.message


def test_a_job_on_the_branch_names_no_folder_of_this_machine(
    start: Any, shared_hub: HubServer, repo: str
) -> None:
    start("save=5", "fail=oom").ended()
    file = shared_hub.api().hf_hub_download(repo, "job.json", revision="hubtrain-k4x")
    assert json.loads(Path(file).read_text())["params"]["model"] == "tiny"
