"""What is particular to Spaces: plans, stages, and launching through all that can go wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from benches.spaces import job, with_standin
from huggingface_hub import JobHardwareInfo
from huggingface_hub.hf_api import SpaceInfo
from standins.bench import CANARY, STANDIN, Hasty, spaces_of_ann, without_spaces
from standins.localhub import HubServer
from standins.waiting import until

from backends.base import Status
from backends.errors import (
    BackendError,
    JobGone,
    LaunchFailed,
    PlanRefused,
)
from backends.handle import Handle
from backends.hub.hardware import flavor
from backends.spaces import Spaces, status_of
from backends.spaces.request import SpaceRequest
from localhub.runtime.prices import FLAVORS
from worker.contract import DataRef, EndReason, Machine, ModelRef
from worker.errors import HubtrainError, HubUnreachable, NoWrite


@pytest.fixture
def hub(shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    yield from without_spaces(shared_hub)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"push": None}, "--push-to-hub"),
        ({"owner": None}, "--username"),
        ({"machine": Machine(backend="spaces")}, "spaces-a10g"),
        ({"data": DataRef(folder="/data")}, "cannot see the folder /data"),
        ({"model": ModelRef(name="/models/mine")}, "cannot see /models/mine"),
        ({"model": ModelRef(name="C:\\models\\mine")}, "cannot see C:"),
        ({"project": "a--b"}, "--project-name"),
        ({"project": "x" * 96}, "--project-name"),
    ],
)
def test_what_a_space_cannot_do_is_refused_in_the_plan(changes: Any, said: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        Spaces().plan(job(**changes))
    assert said in str(refused.value)


def test_a_plan_reads_as_the_steps_that_launch_takes() -> None:
    request = Spaces().plan(job(job_id="k4x7qp"))
    lines = repr(request).splitlines()
    assert lines[:4] == [
        "Space ann/support-bot-k4x7qp",
        "  1. create the private Space ann/support-bot-k4x7qp on cpu-basic with"
        " HUBTRAIN_JOB=k4x7qp and its secrets",
        f"  2. commit {len(request.files)} files,"
        f" {sum(len(f.content) for f in request.files) / 1000:.0f} kB:"
        f" an image with {request.torch}",
        "  3. request t4-small at $0.40/h, asleep after 1.17 h without a visitor",
    ]
    assert {"Dockerfile", "README.md", "job.json", "worker/__main__.py"} <= {
        f.path for f in request.files
    }
    assert request.to_json()["steps"] == list(request.steps)


@pytest.mark.parametrize(
    ("stage", "hardware", "alive", "costing"),
    [
        ("NO_APP_FILE", "t4-small", True, False),
        ("BUILDING", "t4-small", True, False),
        ("RUNNING_BUILDING", "t4-small", True, True),
        ("APP_STARTING", "t4-small", True, True),
        ("RUNNING_APP_STARTING", "t4-small", True, True),
        ("RUNNING", "t4-small", True, True),
        ("RUNNING", "cpu-basic", True, False),
        ("RUNNING", None, True, False),
        ("CONFIG_ERROR", "t4-small", False, False),
        ("BUILD_ERROR", "t4-small", False, False),
        ("RUNTIME_ERROR", "t4-small", False, False),
        ("PAUSED", "t4-small", False, False),
        ("SLEEPING", "t4-small", False, False),
        ("STOPPED", "t4-small", False, False),
        ("DELETING", "t4-small", False, False),
        ("LEVITATING", "t4-small", True, True),
    ],
)
def test_every_stage_says_whether_it_lives_and_costs(
    stage: str, hardware: str | None, alive: bool, costing: bool
) -> None:
    runtime = {"stage": stage, "hardware": {"current": None, "requested": hardware}}
    info = SpaceInfo(id="ann/x", runtime=runtime, host="http://x")  # type: ignore[no-untyped-call]
    status = status_of(info)
    unbuilt = EndReason.BUILD_ERROR if stage in {"CONFIG_ERROR", "BUILD_ERROR"} else None
    assert status == Status(alive, costing, stage, url="http://x", reason=unbuilt)


@pytest.mark.parametrize(("said", "count"), [("4", 4), ("1", 1), (None, 1)])
def test_a_machine_with_a_gpu_never_passes_for_one_without(said: str | None, count: int) -> None:
    offer = {**next(f for f in FLAVORS if f.name == "l4x4").listed(space=True)}
    offer["accelerator"] = {**offer["accelerator"], "quantity": said}
    assert flavor(JobHardwareInfo(**offer)).accelerators == count


@pytest.mark.parametrize("user", [None, "bob"])
def test_a_space_that_a_token_cannot_see_is_not_called_gone(
    hub: HubServer, spaces: Spaces, user: str | None
) -> None:
    handle = spaces.launch(request_for(spaces), {})
    stranger = Spaces(hub.tokens[user] if user else None, Hasty())
    with pytest.raises(NoWrite, match="ann"):
        stranger.status(handle)
    spaces.remove(handle)
    with pytest.raises(NoWrite, match="ann"):
        stranger.status(handle)
    with pytest.raises(JobGone):
        spaces.status(handle)


@pytest.fixture
def spaces(hub: HubServer) -> Spaces:
    return Spaces(hub.tokens["ann"], Hasty())


def request_for(spaces: Spaces, **changes: Any) -> SpaceRequest:
    return with_standin(spaces.plan(job(**changes)))


def assert_one_that_runs(hub: HubServer, spaces: Spaces, request: SpaceRequest) -> None:
    assert spaces_of_ann(hub) == [request.repo_id]
    assert spaces.find(request) == Handle("spaces", request.repo_id)
    runtime = hub.api().get_space_runtime(request.repo_id)
    assert runtime.requested_hardware == request.flavor
    assert hub.api().space_info(request.repo_id).private
    assert list(hub.api().get_space_secrets(request.repo_id)) == ["HF_TOKEN"]


def posts(hub: HubServer) -> list[str]:
    return [request["path"] for request in hub.requests(method="POST")]


def test_money_is_the_last_thing_asked_for(hub: HubServer, spaces: Spaces) -> None:
    request = request_for(spaces)
    spaces.launch(request, {"HF_TOKEN": CANARY})
    steps = [p.rsplit("/", 1)[-1] for p in posts(hub)]
    assert steps[0] == "create" and steps[-1] == "hardware"
    assert steps.count("hardware") == 1 and "commit" in posts(hub)[-2]
    assert hub.api().get_space_runtime(request.repo_id).sleep_time == request.sleep_seconds == 4200


def test_free_hardware_is_neither_asked_for_nor_given_a_sleep_time(
    hub: HubServer, spaces: Spaces
) -> None:
    request = request_for(spaces, machine=Machine(backend="spaces", flavor="cpu-basic"))
    assert request.sleep_seconds is None and len(request.steps) == 2
    handle = spaces.launch(request, {"HF_TOKEN": CANARY})
    assert not any("hardware" in path or "sleeptime" in path for path in posts(hub))
    assert not spaces.status(handle).costing
    assert_one_that_runs(hub, spaces, request)


def requests_of_a_launch(hub: HubServer, spaces: Spaces) -> int:
    hub.forget_requests()
    handle = spaces.launch(request_for(spaces), {"HF_TOKEN": CANARY})
    count = len(hub.requests("^/api/"))
    spaces.remove(handle)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "after": True}, {"status": 503}])
def test_a_lost_answer_anywhere_costs_nothing_twice(
    hub: HubServer, spaces: Spaces, fault: dict[str, Any]
) -> None:
    for nth in range(1, requests_of_a_launch(hub, spaces) + 1):
        request = request_for(spaces)
        hub.fault(fault, path="^/api/", nth=nth)
        spaces.launch(request, {"HF_TOKEN": CANARY})
        hub.clear_faults()
        assert_one_that_runs(hub, spaces, request)
        spaces.remove(Handle("spaces", request.repo_id))


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/repos/create$", {"status": 500}),
        ("/repos/create$", {"status": 402, "message": "A PRO plan is needed"}),
        ("/repos/create$", {"status": 403, "message": "No write access"}),
        ("/preupload/", {"status": 403, "message": "No write access"}),
        ("/commit/", {"status": 500}),
        ("/commit/", {"status": 403, "message": "No write access"}),
        ("/commit/", {"drop": True}),
        ("/hardware$", {"status": 402, "message": "Add a payment method"}),
        ("/hardware$", {"status": 500}),
        ("/hardware$", {"drop": True}),
    ],
)
def test_what_fails_for_good_leaves_nothing(
    hub: HubServer, spaces: Spaces, path: str, fault: dict[str, Any]
) -> None:
    hub.fault(fault, path=path, method="POST", times=None)
    with pytest.raises(HubtrainError) as failed:
        spaces.launch(request_for(spaces), {"HF_TOKEN": CANARY})
    assert str(fault.get("message", "")) in str(failed.value)
    assert CANARY not in str(failed.value)
    assert spaces_of_ann(hub) == []


def test_a_launch_neither_done_nor_undone_says_so(hub: HubServer, spaces: Spaces) -> None:
    request = request_for(spaces)
    hub.fault({"status": 402, "message": "Add a payment method"}, path="/hardware$", times=None)
    hub.fault({"status": 503}, path="/repos/delete$", times=None)
    with pytest.raises(HubUnreachable, match="may be left") as failed:
        spaces.launch(request, {"HF_TOKEN": CANARY})
    assert "hubtrain gc" in failed.value.fix
    hub.clear_faults()
    assert [(f.job_id, f.status.costing) for f in spaces.sweep("ann")] == [(request.job_id, False)]
    spaces.launch(request, {"HF_TOKEN": CANARY})
    assert_one_that_runs(hub, spaces, request)


LAUNCH = """
import dataclasses, sys
from pathlib import Path
from backends.spaces import Spaces
from backends.hub.files import RepoFile
from worker.contract import JobSpec
token, spec, standin = sys.argv[1:]
spaces = Spaces(token)
plan = spaces.plan(JobSpec.model_validate_json(spec))
files = [f for f in plan.files if not f.path.startswith("worker/")]
files.append(RepoFile("worker/__main__.py", Path(standin).read_bytes()))
spaces.launch(dataclasses.replace(plan, files=tuple(files)), {"HF_TOKEN": "x"})
"""


@pytest.mark.slow
def test_a_launch_killed_between_any_two_requests_is_completed_by_the_next(
    hub: HubServer, spaces: Spaces
) -> None:
    for nth in range(1, requests_of_a_launch(hub, spaces) + 1):
        spec = job()
        request = with_standin(spaces.plan(spec))
        hub.fault({"delay": 60}, path="^/api/", nth=nth)
        argv = [
            sys.executable,
            "-c",
            LAUNCH,
            hub.tokens["ann"],
            spec.model_dump_json(),
            str(STANDIN),
        ]
        process = subprocess.Popen(argv)
        until(lambda: any(r["happened"] for r in hub.admin("GET", "faults")))
        process.kill()
        process.wait(10)
        hub.clear_faults()
        found = spaces.sweep("ann")
        assert len(found) <= 1 and all(f.job_id == spec.job_id for f in found)
        spaces.launch(request, {"HF_TOKEN": CANARY})
        assert_one_that_runs(hub, spaces, request)
        spaces.remove(Handle("spaces", request.repo_id))


def test_a_space_that_is_not_ours_is_left_alone(hub: HubServer, spaces: Spaces) -> None:
    request = request_for(spaces)
    hub.api().create_repo(request.repo_id, repo_type="space", space_sdk="docker", private=True)
    with pytest.raises(LaunchFailed, match="not this job's"):
        spaces.launch(request, {"HF_TOKEN": CANARY})
    with pytest.raises(BackendError, match="was not made by hubtrain"):
        spaces.remove(Handle("spaces", request.repo_id))
    assert spaces_of_ann(hub) == [request.repo_id]
    assert spaces.sweep("ann") == []


def test_a_space_that_is_renamed_by_hand_is_still_found_by_its_handle(
    hub: HubServer, spaces: Spaces
) -> None:
    handle = spaces.launch(request_for(spaces), {"HF_TOKEN": CANARY})
    hub.api().move_repo(handle.path, "ann/mine", repo_type="space")
    assert spaces.status(handle).alive
    spaces.cancel(handle)
    assert hub.api().get_space_runtime("ann/mine").stage == "PAUSED"
    spaces.forget_secrets(handle)
    assert not spaces.holds_secrets(handle)
    assert not hub.api().get_space_secrets("ann/mine")
    spaces.remove(handle)
    assert spaces_of_ann(hub) == []


def test_no_network_is_said_and_makes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    spaces = Spaces(CANARY, Hasty())
    with pytest.raises(HubUnreachable, match="no answer") as failed:
        spaces.launch(request_for(spaces), {"HF_TOKEN": CANARY})
    assert not isinstance(failed.value, LaunchFailed)


def test_a_revoked_token_does_not_make_a_job_look_gone(hub: HubServer, spaces: Spaces) -> None:
    handle = spaces.launch(request_for(spaces), {"HF_TOKEN": CANARY})
    hub.admin("PUT", "tokens", {"token": spaces.token, "revoked": True})
    try:
        with pytest.raises(NoWrite, match="refused this token"):
            spaces.status(handle)
    finally:
        hub.admin("PUT", "tokens", {"token": spaces.token, "revoked": False})
    assert spaces.status(handle).alive


def test_following_survives_streams_that_drop(hub: HubServer, spaces: Spaces) -> None:
    handle = spaces.launch(request_for(spaces, lines=20), {"HF_TOKEN": CANARY})
    hub.fault({"drop_stream_after": 3}, path="/logs/run", times=2)
    hub.fault({"drop": True}, path="/logs/run", nth=3)
    seen = []
    for line in spaces.logs(handle, follow=True):
        seen.append(line)
        if line == "line 19":
            spaces.cancel(handle)
    assert seen == list(spaces.logs(handle))


def test_a_space_that_dies_says_why(hub: HubServer, spaces: Spaces) -> None:
    request = request_for(spaces, params={"lines": 0, "die": True})
    handle = spaces.launch(request, {"HF_TOKEN": CANARY})
    status = until(lambda: None if (s := spaces.status(handle)).alive else s)
    assert status.stage == "RUNTIME_ERROR" and status.detail


def test_a_build_leaves_a_log(hub: HubServer, spaces: Spaces) -> None:
    handle = spaces.launch(request_for(spaces), {"HF_TOKEN": CANARY})
    until(lambda: any("FROM python" in line for line in islice(spaces.build_logs(handle), 20)))
