"""One set of tests for every backend there is, then what is particular to each.

A backend is judged on a bench that gives it somewhere to run: a folder of this machine, or the
local Hub, which really runs Spaces. The worker is a stand-in; all else is the product.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.hf_api import SpaceInfo
from standins.localhub import HubServer

import backends
from backends.base import Backend, Status
from backends.errors import (
    BackendError,
    JobGone,
    LaunchFailed,
    PlanRefused,
    UnknownBackend,
    UnknownFlavor,
)
from backends.handle import Handle
from backends.local import Local
from backends.spaces import Spaces, _status
from backends.spaces.request import SpaceFile, SpaceRequest
from worker.clock import SystemClock
from worker.contract import DataRef, JobSpec, Limits, Machine, ModelRef, PushTarget
from worker.errors import HubtrainError, HubUnreachable, NoWrite

STANDIN = Path(__file__).parent / "standins" / "lines.py"
CANARY = "hf_canaryCanaryCanaryCanaryCanary0123"


class Hasty(SystemClock):
    """A clock for which waiting takes almost no time."""

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))


@pytest.fixture
def hub(shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The local Hub, with no Space of ann's before the test and none after it."""
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    shared_hub.forget_requests()
    yield shared_hub
    shared_hub.clear_faults()
    for space in spaces_of_ann(shared_hub):
        shared_hub.api().delete_repo(space, repo_type="space")


def spaces_of_ann(hub: HubServer) -> list[str]:
    return [space.id for space in hub.api().list_spaces(author="ann")]


def job(backend: str, lines: int = 5, **changes: Any) -> JobSpec:
    """Return a job of the stand-in."""
    flavor = "t4-small" if backend == "spaces" else None
    return JobSpec(
        **{
            "job_id": SystemClock().new_id(),
            "project": "support-bot",
            "owner": "ann",
            "task": "llm",
            "params": {"lines": lines},
            "model": ModelRef(name="demo/tiny", revision="a" * 40),
            "data": DataRef(repo_id="ann/data", revision="b" * 40, train=("train.parquet",)),
            "push": PushTarget(repo_id="ann/support-bot"),
            "machine": Machine(backend=backend, flavor=flavor, usd_per_hour=0.4),
            "limits": Limits(max_seconds=600),
            **changes,
        }
    )


class Bench(ABC):
    """Somewhere for one backend to run."""

    name: str

    def __init__(self, backend: Backend[Any]) -> None:
        self.backend = backend

    @abstractmethod
    def plan(self, spec: JobSpec) -> Any:
        """Return the backend's plan of the job, with the stand-in as its worker."""

    @abstractmethod
    def kept(self, request: Any) -> str:
        """Return all that is kept of a launched job where others may look."""

    def job(self, lines: int = 5, **changes: Any) -> JobSpec:
        return job(self.name, lines, **changes)

    def launch(self, spec: JobSpec) -> tuple[Any, Handle]:
        request = self.plan(spec)
        return request, self.backend.launch(request, {"HF_TOKEN": CANARY})


class LocalBench(Bench):
    name = "local"

    def plan(self, spec: JobSpec) -> Any:
        request = self.backend.plan(spec, None)
        return dataclasses.replace(request, command=(sys.executable, str(STANDIN)))

    def kept(self, request: Any) -> str:
        files = (f for f in request.folder.path.rglob("*") if f.is_file())
        return "".join(f.read_text(errors="replace") for f in files)


class SpacesBench(Bench):
    name = "spaces"

    def plan(self, spec: JobSpec) -> SpaceRequest:
        return with_standin(self.backend.plan(spec, None))

    def kept(self, request: SpaceRequest) -> str:
        api = self.backend.api  # type: ignore[attr-defined]
        info = api.space_info(request.repo_id)
        variables = api.get_space_variables(request.repo_id)
        files = (api.hf_hub_download(info.id, f.path, repo_type="space") for f in request.files)
        texts = (Path(f).read_text() for f in files)
        handle = Handle("spaces", info.id)
        lines = [*self.backend.logs(handle), *self.backend.build_logs(handle)]
        return "".join([repr(info), repr(variables), *texts, *lines])


def with_standin(request: SpaceRequest) -> SpaceRequest:
    files = [f for f in request.files if not f.path.startswith("worker/")]
    files.append(SpaceFile("worker/__main__.py", STANDIN.read_bytes()))
    return dataclasses.replace(request, files=tuple(files))


@pytest.fixture(params=backends.names())
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    match request.param:
        case "local":
            monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
            yield LocalBench(Local(None))
            for folder in (tmp_path / "home" / "runs").glob("*"):
                Local(None).remove(Handle("local", folder.name))
        case "spaces":
            yield SpacesBench(Spaces(request.getfixturevalue("hub").tokens["ann"]))
        case other:
            pytest.fail(f"no bench for the backend {other}: give it one here")


def until(done: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return what `done` returns once that is true."""
    end = time.monotonic() + seconds
    while not (answer := done()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return answer


# every backend


def test_plan_is_pure_and_equal_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    spec = bench.job()
    first, second = bench.backend.plan(spec, None), bench.backend.plan(spec, None)
    assert first == second
    assert repr(first) == repr(second)
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())


def test_a_job_lives_and_is_found_stopped_and_removed(bench: Bench) -> None:
    spec = bench.job()
    assert bench.backend.find(bench.plan(spec)) is None
    request, handle = bench.launch(spec)
    assert Handle.parse(str(handle)) == handle
    assert bench.backend.find(request) == handle
    assert bench.backend.recall(handle) == spec
    assert bench.backend.status(handle).alive
    until(lambda: "line 4" in list(bench.backend.logs(handle)))
    lines = list(bench.backend.logs(handle))
    assert list(bench.backend.logs(handle, skip=3)) == lines[3:]
    bench.backend.cancel(handle)
    bench.backend.cancel(handle)
    until(lambda: not bench.backend.status(handle).alive)
    assert not bench.backend.status(handle).costing
    bench.backend.remove(handle)
    bench.backend.remove(handle)
    bench.backend.cancel(handle)
    with pytest.raises(JobGone):
        bench.backend.status(handle)
    with pytest.raises(JobGone):
        bench.backend.recall(handle)
    assert list(bench.backend.logs(handle)) == []
    assert list(bench.backend.logs(handle, follow=True)) == []
    assert bench.backend.find(request) is None


def test_launching_twice_makes_one(bench: Bench) -> None:
    request, handle = bench.launch(bench.job())
    assert bench.backend.launch(request, {"HF_TOKEN": CANARY}) == handle
    until(lambda: "line 4" in list(bench.backend.logs(handle)))
    started = [line for line in bench.backend.logs(handle) if line == "line 4"]
    assert len(started) == 1


def test_launching_at_once_from_two_sides_makes_one(bench: Bench) -> None:
    request = bench.plan(bench.job())
    with ThreadPoolExecutor(4) as pool:
        handles = list(pool.map(lambda _: bench.backend.launch(request, {}), range(4)))
    assert len(set(handles)) == 1
    until(lambda: "line 4" in list(bench.backend.logs(handles[0])))
    assert list(bench.backend.logs(handles[0])).count("line 4") == 1


def test_following_gives_every_line_once_and_ends_with_the_machine(bench: Bench) -> None:
    _, handle = bench.launch(bench.job(lines=30))
    seen = []
    for line in bench.backend.logs(handle, skip=1, follow=True):
        seen.append(line)
        if line == "line 29":
            bench.backend.cancel(handle)
    assert seen == list(bench.backend.logs(handle))[1:]


def test_a_job_whose_process_dies_is_not_alive(bench: Bench) -> None:
    _, handle = bench.launch(bench.job(params={"lines": 1, "die": True}))
    status = until(lambda: (s := bench.backend.status(handle)).alive or s)
    status = until(lambda: None if (s := bench.backend.status(handle)).alive else s)
    assert not status.costing
    assert "died as asked" in list(bench.backend.logs(handle, follow=True))


def test_a_secret_is_in_nothing_that_is_kept(bench: Bench) -> None:
    request, handle = bench.launch(bench.job())
    until(lambda: "line 4" in list(bench.backend.logs(handle)))
    told = list(bench.backend.logs(handle))
    assert any("key True" in line for line in told), "the worker got it"
    kept = bench.kept(request) + repr(request) + json.dumps(request.to_json()) + str(handle)
    assert CANARY not in kept
    assert CANARY not in "".join(command_lines())


def command_lines() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_text(errors="replace")
        except OSError:  # it has ended meanwhile
            continue


def test_the_price_list_is_cheapest_first_and_names_what_users_write(bench: Bench) -> None:
    flavors = bench.backend.flavors()
    assert flavors == sorted(flavors, key=lambda f: f.usd_per_hour)
    for flavor in flavors:
        assert flavor.memory_bytes > 1e9 and flavor.cpus >= 1
        for name in (flavor.name, *flavor.short_names):
            assert bench.backend.flavor(name) == flavor
    with pytest.raises(UnknownFlavor, match=r"has no machine 'abacus'; it has .*\$0\.00/h"):
        bench.backend.flavor("abacus")


# what users write


@pytest.mark.parametrize(
    ("written", "backend", "flavor"),
    [
        ("local", "local", None),
        ("local-cli", "local", None),
        ("spaces", "spaces", None),
        ("spaces-cpu", "spaces", "cpu-basic"),
        ("spaces-cpuf", "spaces", "cpu-basic"),
        ("spaces-t4", "spaces", "t4-small"),
        ("spaces-t4s", "spaces", "t4-small"),
        ("spaces-t4m", "spaces", "t4-medium"),
        ("spaces-a10g", "spaces", "a10g-small"),
        ("spaces-a10gs", "spaces", "a10g-small"),
        ("spaces-a10gl", "spaces", "a10g-large"),
        ("spaces-a100", "spaces", "a100-large"),
        ("Spaces_A100", "spaces", "a100-large"),
        ("spaces-l40sx4", "spaces", "l40sx4"),
    ],
)
def test_what_users_write_after_backend(written: str, backend: str, flavor: str | None) -> None:
    place = backends.resolve(written)
    assert (place.backend.name, place.flavor) == (backend, flavor)


def test_an_unknown_backend_is_answered_with_the_list_and_prices(hub: HubServer) -> None:
    with pytest.raises(UnknownBackend) as refused:
        backends.resolve("space-a100")
    assert "spaces-a100-large $2.50/h" in refused.value.message
    assert refused.value.fix == "Did you mean --backend spaces-a100?"


def test_an_unknown_backend_is_answered_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnknownBackend, match=r"local, .*spaces-a100"):
        backends.resolve("nowhere")


def test_an_unknown_flavor_names_the_nearest(hub: HubServer) -> None:
    with pytest.raises(UnknownFlavor) as refused:
        Spaces().flavor("a10g-big")
    assert refused.value.fix.startswith("Did you mean --backend spaces-a10g-")


# local


def test_a_local_job_survives_the_process_that_launched_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    spec = job("local", lines=1)
    code = (
        "import dataclasses, os, signal, sys\n"
        "from backends.local import Local\n"
        "from worker.contract import JobSpec\n"
        "spec, standin = sys.argv[1:]\n"
        "here = Local()\n"
        "plan = here.plan(JobSpec.model_validate_json(spec), None)\n"
        "here.launch(dataclasses.replace(plan, command=(sys.executable, standin)), {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, spec.model_dump_json(), str(STANDIN)]
    assert subprocess.run(command, timeout=30, check=False).returncode == -9
    local, handle = Local(), Handle("local", spec.job_id)
    try:
        assert local.status(handle).alive
        until(lambda: "line 0" in list(local.logs(handle)))
        folder = tmp_path / "runs" / spec.job_id
        assert (folder / "page.key").stat().st_mode & 0o077 == 0
        assert (folder / "job.json").stat().st_mode & 0o077 == 0
    finally:
        local.remove(handle)


def test_a_reused_process_id_does_not_make_a_dead_job_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    bench = LocalBench(Local())
    request, handle = bench.launch(bench.job(params={"lines": 0, "die": True}))
    until(lambda: not bench.backend.status(handle).alive)
    (request.folder.path / "pid").write_text(str(os.getpid()))
    assert not bench.backend.status(handle).alive
    bench.backend.cancel(handle)  # would end this test
    bench.backend.remove(handle)


def test_a_handle_leads_out_of_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "runs").mkdir(parents=True)
    precious = tmp_path / "home" / "pid"
    precious.write_text("1")
    Local().remove(Handle("local", ".."))
    Local().remove(Handle("local", "../../home"))
    assert precious.exists()


def test_what_local_training_lacks_is_said_before_it_starts() -> None:
    with pytest.raises(PlanRefused, match="no extra astrology"):
        Local().plan(job("local", extras=("astrology",)), None)


# Spaces: what is planned


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
        Spaces().plan(job("spaces", **changes), None)
    assert said in str(refused.value)


def test_a_plan_reads_as_the_steps_that_launch_takes() -> None:
    request = Spaces().plan(job("spaces", job_id="k4x7qp"), None)
    lines = repr(request).splitlines()
    assert lines[:4] == [
        "Space ann/support-bot-k4x7qp",
        "  1. create the private Space ann/support-bot-k4x7qp on cpu-basic with"
        " HUBTRAIN_JOB=k4x7qp and its secrets",
        f"  2. commit {len(request.files)} files,"
        f" {sum(len(f.content) for f in request.files) / 1000:.0f} kB",
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
    status = _status(info)
    assert status == Status(alive, costing, stage, url="http://x")


# Spaces: launching through everything that can go wrong


@pytest.fixture
def spaces(hub: HubServer) -> Spaces:
    return Spaces(hub.tokens["ann"], Hasty())


def request_for(spaces: Spaces, **changes: Any) -> SpaceRequest:
    return with_standin(spaces.plan(job("spaces", **changes), None))


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
from backends.spaces.request import SpaceFile
from worker.contract import JobSpec
token, spec, standin = sys.argv[1:]
spaces = Spaces(token)
plan = spaces.plan(JobSpec.model_validate_json(spec), None)
files = [f for f in plan.files if not f.path.startswith("worker/")]
files.append(SpaceFile("worker/__main__.py", Path(standin).read_bytes()))
spaces.launch(dataclasses.replace(plan, files=tuple(files)), {"HF_TOKEN": "x"})
"""


@pytest.mark.slow
def test_a_launch_killed_between_any_two_requests_is_completed_by_the_next(
    hub: HubServer, spaces: Spaces
) -> None:
    for nth in range(1, requests_of_a_launch(hub, spaces) + 1):
        spec = job("spaces")
        request = with_standin(spaces.plan(spec, None))
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
