"""The supervisor on a Hub that refuses, vanishes and forgets: a model gets there, or it is said."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import SpaceHardware
from standins.localhub import HubServer
from standins.waiting import PATIENCE, until
from test_lm_eval import needs_lm_eval, written
from test_supervise import Noon, Worker, spec

from orchestrator.jobs.archive import archived_events
from worker.clock import SystemClock
from worker.contract import (
    DataRef,
    EndReason,
    Failed,
    Finished,
    Limits,
    Machine,
    Phase,
    Pushed,
    PushTarget,
    State,
    fold,
    from_line,
)
from worker.errors import HubError, HubUnreachable
from worker.host import PlainMachine
from worker.hubclient import explained
from worker.supervise.journal import Journal
from worker.supervise.keep import PUSH_GRACE
from worker.supervise.live import Live
from worker.supervise.retry import keep_trying

pytestmark = pytest.mark.slow

REPO = "ann/support-bot"
COMMIT = rf"/api/models/{REPO}/commit/main"
MODEL = ("steps=2", "model=x", "finish")


@pytest.fixture
def hub(hub_server: Any) -> HubServer:
    """A Hub of the test's own, to be broken at will."""
    server: HubServer = hub_server("ann:write", "bob:read")
    return server


@pytest.fixture
def start(tmp_path: Path, hub: HubServer) -> Iterator[Any]:
    """Start workers that push to the Hub as ann."""
    workers: list[Worker] = []

    def made(
        *acts: str, user: str = "ann", space: str | None = None, born: bool = False, **changes: Any
    ) -> Worker:
        folder = tmp_path / f"worker{len(workers)}"
        folder.mkdir()
        about = {"push": PushTarget(repo_id=REPO), **changes}
        job = spec(**about)
        environ = {"SPACE_ID": space} if space else {}
        if born:
            environ["ACCELERATOR"] = str(job.machine.flavor)
        workers.append(Worker(folder, job, *acts, **hub.env(user, **environ)))
        return workers[-1]

    yield made
    for worker in workers:
        worker.close()


def files(hub: HubServer, revision: str = "main") -> set[str]:
    return set(hub.api().list_repo_files(REPO, revision=revision))


def read(hub: HubServer, path: str, revision: str = "main") -> str:
    with hub.http() as http:
        answer = http.get(f"/{REPO}/resolve/{revision}/{path}", follow_redirects=True)
        answer.raise_for_status()
        return str(answer.text)


def told(hub: HubServer, revision: str = "main") -> Any:
    """Return what the events on the Hub add up to."""
    lines = read(hub, "events.jsonl", revision).splitlines()
    return fold(e for line in lines if (e := from_line(line)))


def test_the_model_its_card_and_its_story_are_on_the_hub(start: Any, hub: HubServer) -> None:
    worker = start(*MODEL)
    assert isinstance(worker.ended(), Finished)
    assert files(hub) >= {"model.safetensors", "README.md", "hubtrain.json", "events.jsonl"}
    assert "training_args.bin" not in files(hub)
    assert hub.api().model_info(REPO).private
    story = told(hub)
    assert (story.state, story.pushed.repo_id) == (State.SUCCEEDED, REPO)
    (pushed,) = [e for e in worker.events if isinstance(e, Pushed)]
    assert "model.safetensors" in files(hub, pushed.commit)
    assert json.loads(read(hub, "hubtrain.json"))["spec"]["push"]["repo_id"] == REPO


@pytest.mark.parametrize("status", [503, 403])
def test_refused_three_times_then_accepted(start: Any, hub: HubServer, status: int) -> None:
    hub.fault({"status": status}, method="POST", path=COMMIT, times=3)
    worker = start(*MODEL)
    assert isinstance(worker.ended(), Finished)
    assert worker.output.count("Trying again") == 3
    assert told(hub).state is State.SUCCEEDED


def test_an_upload_that_breaks_off_is_tried_again(start: Any, hub: HubServer) -> None:
    hub.fault({"status": 403}, method="PUT", path="^/_storage/", times=2)
    worker = start(*MODEL)
    assert isinstance(worker.ended(), Finished)
    assert worker.output.count("Trying again") == 2


def test_a_look_at_the_old_model_that_fails_is_tried_again(start: Any, hub: HubServer) -> None:
    tree = rf"/api/models/{REPO}/tree/main"
    hub.fault({"status": 403}, method="GET", path=tree, nth=2)  # the first is before training
    worker = start(*MODEL)
    assert isinstance(worker.ended(), Finished)
    assert "Trying again" in worker.output


@pytest.mark.parametrize(
    "fault",
    [{"status": 507}, {"status": 403, "message": "Private repository storage limit reached"}],
)
def test_a_hub_without_room_is_not_waited_for(hub: HubServer, fault: dict[str, Any]) -> None:
    hub.fault(fault, method="POST", path=r"/api/repos/create", times=None)
    with pytest.raises(HubError, match="no room left at the Hub") as refused, explained("making"):
        hub.api().create_repo("ann/large")
    hub.clear_faults()
    assert not isinstance(refused.value, HubUnreachable)


class Slept(Noon):
    """Its time is what was slept, to the last digit."""

    def monotonic(self) -> float:
        return sum(self.slept)


def test_a_push_does_not_outlast_the_limits_by_more_than_its_grace(tmp_path: Path) -> None:
    clock = Slept()
    with (tmp_path / "out").open("w") as out:
        journal = Journal(tmp_path, clock=clock, redact=str, out=out)
        job = spec(limits=Limits(max_seconds=1000.0, push_seconds=1e6))
        live = Live(job, PlainMachine({}), clock, journal, born=clock.monotonic())
        clock.sleep(900)

        def refuse() -> None:
            clock.sleep(7)
            raise HubUnreachable("not now")

        with pytest.raises(HubUnreachable):
            keep_trying(
                live, refuse, "", seconds=1e6, refusals=9, at_most=live.seconds_left + PUSH_GRACE
            )
        journal.close()
    assert 1000 < clock.monotonic() - live.born <= 1000 + PUSH_GRACE


def test_a_push_whose_answer_was_lost_is_not_made_twice(start: Any, hub: HubServer) -> None:
    hub.fault({"drop": True, "after": True}, method="POST", path=COMMIT)
    worker = start(*MODEL)
    assert isinstance(worker.ended(), Finished)
    titles = [c.title for c in hub.api().list_repo_commits(REPO)]
    assert len([t for t in titles if t.startswith("Train ")]) == 1


def test_a_push_never_accepted_is_said_and_the_model_stays(start: Any, hub: HubServer) -> None:
    hub.fault({"status": 503}, method="POST", path=COMMIT, times=None)
    worker = start(*MODEL, limits=Limits(push_seconds=5))
    ending = worker.ended()
    assert isinstance(ending, Failed)
    assert ending.reason is EndReason.PUSH_FAILED
    assert worker.process.returncode == EndReason.PUSH_FAILED.exit_code
    kept = worker.work / "model"
    assert str(kept) in ending.message
    assert "same command" not in ending.message, "it would train once more"
    assert (kept / "model.safetensors").exists()
    assert told(hub, "hubtrain-k4x").reason is EndReason.PUSH_FAILED


def test_a_token_revoked_while_training_is_said(start: Any, hub: HubServer, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    acts = ("steps=1", f"until={revoked}", "model=x", "finish")
    worker = start(*acts, limits=Limits(push_seconds=5))
    worker.until("progress")
    hub.fault({"status": 401}, path=r"^/(api|ann)/", times=None)
    revoked.touch()
    assert worker.ended().reason is EndReason.PUSH_FAILED


def test_a_hub_that_restarts_meanwhile_gets_the_model_all_the_same(
    start: Any, hub: HubServer, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    worker = start("steps=1", f"until={gone}", "model=x", "finish")
    worker.until("progress")
    hub.kill9()
    gone.touch()
    for line in worker.process.stdout:
        worker.lines.append(line)
        if "Trying again" in line:
            break
    hub.restart()
    assert isinstance(worker.ended(), Finished)
    assert told(hub).state is State.SUCCEEDED


def test_a_token_that_may_not_write_is_refused_before_training(start: Any, hub: HubServer) -> None:
    hub.api().create_repo(REPO)
    worker = start(*MODEL, user="bob")
    assert worker.ended().reason is EndReason.TOKEN_NO_WRITE
    assert "loading model" not in worker.output


def test_a_model_of_somebody_else_is_not_written_over(start: Any, hub: HubServer) -> None:
    assert isinstance(start(*MODEL).ended(), Finished)
    worker = start(*MODEL, job_id="c07")
    ending = worker.ended()
    assert ending.reason is EndReason.BAD_CONFIG
    assert "--overwrite" in ending.message
    assert "loading model" not in worker.output


def test_what_somebody_wrote_into_a_repo_is_not_written_over(start: Any, hub: HubServer) -> None:
    api = hub.api()
    api.create_repo(REPO)
    api.upload_file(path_or_fileobj=b"mine", path_in_repo="README.md", repo_id=REPO)
    worker = start(*MODEL)
    ending = worker.ended()
    assert ending.reason is EndReason.BAD_CONFIG
    assert "already holds something (README.md)" in ending.message
    assert "loading model" not in worker.output


def test_an_overwrite_leaves_nothing_of_the_old_model(start: Any, hub: HubServer) -> None:
    api = hub.api()
    api.create_repo(REPO)
    old = {"model-00001-of-00002.safetensors", "model.skops"}
    for name in (*old, "LICENSE"):
        api.upload_file(path_or_fileobj=b"old", path_in_repo=name, repo_id=REPO)
    worker = start(*MODEL, push=PushTarget(repo_id=REPO, overwrite=True))
    assert isinstance(worker.ended(), Finished)
    assert {"LICENSE", "model.safetensors"} <= files(hub)
    assert not old & files(hub), "of whatever library"


def test_a_failure_leaves_its_record_on_a_branch_and_main_alone(start: Any, hub: HubServer) -> None:
    assert start("print=before the end", "raise").ended().reason is EndReason.WORKER_DIED
    assert "events.jsonl" not in files(hub)
    assert told(hub, "hubtrain-k4x").reason is EndReason.WORKER_DIED
    assert "ZeroDivisionError" in read(hub, "log.txt", "hubtrain-k4x")


LINE_ENDS = "to some\u2028readers\u2029this is\x85five\x0clines"


@pytest.mark.parametrize("acts", [MODEL, ("fail=bad_data",)])
def test_a_machine_that_restarts_does_not_train_again(
    start: Any, hub: HubServer, acts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(f"say={LINE_ENDS}", *acts)
    first.ended()
    branch = "main" if acts == MODEL else "hubtrain-k4x"
    assert LINE_ENDS[:12] in read(hub, "events.jsonl", branch)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    job = spec(push=PushTarget(repo_id=REPO))
    archived = archived_events(job, hub.tokens["ann"], SystemClock())
    assert [e.name for e in archived if isinstance(e, Phase) and e.name == LINE_ENDS]
    again = start("steps=600x1")
    again.process.wait(PATIENCE)
    assert again.process.returncode == first.process.returncode
    assert not again.events


@pytest.fixture
def evaluated(start: Any, tmp_path: Path) -> Any:
    """Start workers whose model is evaluated with a task file."""
    rows = tmp_path / "rows"
    rows.mkdir()
    file = written(rows)
    job = spec()

    def made(*acts: str, **more: Any) -> Worker:
        params = {**job.params, "lm_eval": str(file)}
        files = DataRef(folder=str(rows), train=[file.name, "questions.jsonl"])
        worker: Worker = start(*acts, params=params, files=files, **more)
        return worker

    return made


@needs_lm_eval
def test_an_evaluation_that_cannot_be_pushed_costs_no_success(
    evaluated: Any, hub: HubServer
) -> None:
    worker = evaluated(*MODEL, limits=Limits(push_seconds=5))
    worker.until("pushed")
    hub.fault({"status": 503}, method="POST", path=COMMIT, times=None)
    ending = worker.ended()
    assert isinstance(ending, Finished), ending
    assert "the model was pushed, but" in ending.note
    assert "model.safetensors" in files(hub)
    assert told(hub, "hubtrain-k4x").state is State.SUCCEEDED


@needs_lm_eval
def test_a_machine_that_restarts_in_the_evaluation_does_not_train_again(
    evaluated: Any, hub: HubServer
) -> None:
    first = evaluated(*MODEL)
    first.until("pushed")
    first.process.kill()
    first.process.wait(60)
    again = evaluated("steps=600x1")
    ending = again.ended()
    assert isinstance(ending, Finished), ending
    assert ending.note == "the evaluation was cut short by a restart"
    assert [event.kind for event in again.events] == ["finished"]
    story = told(hub, "hubtrain-k4x")
    assert story.state is State.SUCCEEDED and story.pushed and story.pushed.commit


SPACE = "ann/support-bot-k4x"


def space(hub: HubServer) -> None:
    """Make a Space that does nothing, for a worker to take for its own."""
    hub.api().create_repo(SPACE, repo_type="space", space_sdk="docker", private=True)


@pytest.mark.parametrize("acts", [MODEL, ("raise",), ("kill",)])
def test_every_ending_pauses_the_space(start: Any, hub: HubServer, acts: Any) -> None:
    space(hub)
    worker = start(*acts, space=SPACE)
    worker.ended()
    assert hub.api().get_space_runtime(SPACE).stage == "PAUSED"


def test_a_space_that_cannot_be_paused_is_moved_to_free_hardware(
    start: Any, hub: HubServer
) -> None:
    space(hub)
    hub.api().request_space_hardware(SPACE, SpaceHardware.T4_SMALL)
    hub.fault({"status": 500}, path="/pause$", times=None)
    machine = Machine(backend="spaces", flavor="t4-small")
    start("raise", space=SPACE, machine=machine, born=True).ended()
    assert hub.api().get_space_runtime(SPACE).requested_hardware == "cpu-basic"


def test_a_stop_while_the_machine_is_awaited_ends_the_job(start: Any, hub: HubServer) -> None:
    space(hub)
    worker = start(*MODEL, space=SPACE, machine=Machine(backend="spaces", flavor="t4-small"))
    until(lambda: hub.requests(path="/runtime$"))
    worker.process.send_signal(signal.SIGINT)
    ending = worker.ended()
    assert (ending.kind, ending.reason) == ("stopped", EndReason.USER)
    assert hub.api().get_space_runtime(SPACE).stage == "PAUSED"


def test_a_machine_that_makes_way_ends_nothing(start: Any, hub: HubServer) -> None:
    space(hub)
    machine = Machine(backend="spaces", flavor="t4-small")
    worker = start(*MODEL, space=SPACE, machine=machine)
    until(lambda: hub.requests(path="/runtime$"))
    worker.process.terminate()
    worker.process.wait(PATIENCE)
    assert not worker.events
    assert hub.api().get_space_runtime(SPACE).stage != "PAUSED"
    assert not hub.api().repo_exists(REPO)
