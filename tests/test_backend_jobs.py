"""What is particular to Jobs: plans, stages, and asking for one through all that can go wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benches.jobs import cancel_all, job, with_standin
from huggingface_hub import JobInfo
from standins.bench import CANARY, Hasty
from standins.localhub import HubServer
from standins.spaces import new_space
from standins.waiting import until

from backends.base import Flavor, Status
from backends.errors import JobGone, LaunchFailed, PlanRefused
from backends.handle import Handle
from backends.hub.files import RepoFile
from backends.jobs import Jobs, status_of
from backends.jobs.options import JobsOptions
from backends.jobs.request import JOB_LABEL, TIMEOUT_LABEL, JobRequest
from worker.bootstrap import BUILD_ERROR, has_all
from worker.contract import DataRef, EndReason, Limits, Machine
from worker.errors import HubtrainError, HubUnreachable, NoWrite
from worker.host.job import Job, JobDoor
from worker.hubjobs import page_key


@pytest.fixture
def hub(shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    shared_hub.forget_requests()
    yield shared_hub
    shared_hub.clear_faults()
    cancel_all(shared_hub)


@pytest.fixture
def jobs(hub: HubServer) -> Jobs:
    return Jobs(hub.tokens["ann"], Hasty())


def request_for(jobs: Jobs, **changes: Any) -> JobRequest:
    return with_standin(jobs.plan(job(**changes)))


def of(hub: HubServer, request: JobRequest) -> list[JobInfo]:
    """Return the Jobs of a request that are not cancelled."""
    found = hub.api().list_jobs(namespace="ann", labels={JOB_LABEL: request.job_id})
    return [one for one in found if one.status.stage != "CANCELED"]


def repos(hub: HubServer) -> set[str]:
    return {found.id for found in hub.api().list_datasets(author="ann")}


def assert_one_that_runs(hub: HubServer, jobs: Jobs, request: JobRequest) -> None:
    (one,) = of(hub, request)
    assert jobs.find(request) == Handle("jobs", f"ann/{one.id}")
    assert list(one.secrets or {}) == ["HF_TOKEN"] and one.flavor == request.flavor


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"push": None}, "--push-to-hub"),
        ({"owner": None}, "--username"),
        ({"machine": Machine(backend="jobs")}, "jobs-a10g"),
        ({"data": DataRef(folder="/data")}, "A Job cannot see the folder /data"),
        ({"project": "a--b"}, "--project-name"),
    ],
)
def test_what_a_job_cannot_do_is_refused_in_the_plan(changes: Any, said: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        Jobs().plan(job(**changes))
    assert said in str(refused.value)


def test_a_plan_reads_as_the_steps_that_launch_takes() -> None:
    request = Jobs().plan(job(job_id="k4x7qp", project="bot.2"))
    lines = repr(request).splitlines()
    assert lines[0] == "Job k4x7qp of ann"
    assert lines[1].startswith("  1. create the private dataset ann/bot.2-k4x7qp, and commit ")
    assert lines[2] == (
        "  2. run a Job on t4-small at $0.40/h under ann, with the commit mounted and its secrets;"
        " the Hub ends it after 25 min (--max-duration, and time to push)"
    )
    assert lines[3].startswith("Image  ghcr.io/astral-sh/uv:python3.11-bookworm, public")
    assert request.to_json()["steps"] == list(request.steps)
    assert request.labels["name"] == "bot-2-k4x7qp", "no other letters are allowed in labels"


@pytest.mark.parametrize(
    ("limits", "seconds", "why"),
    [
        (Limits(max_seconds=3600), 3600 + 900, "deadline"),
        (Limits(max_usd=0.2), 1800 + 900, "cost_cap"),
        (Limits(max_usd=0.2, max_seconds=60), 60 + 900, "deadline"),
        (Limits(max_usd=0.2, max_seconds=7200), 1800 + 900, "cost_cap"),
        (Limits(), 72 * 3600, "deadline"),
    ],
)
def test_the_hub_has_a_time_limit_in_any_case(limits: Limits, seconds: int, why: str) -> None:
    request = Jobs().plan(job(limits=limits))
    assert (request.timeout_seconds, request.labels[TIMEOUT_LABEL]) == (seconds, why)


@pytest.mark.parametrize(
    ("stage", "message", "alive", "costing", "reason"),
    [
        ("SCHEDULING", None, True, False, None),
        ("RUNNING", None, True, True, None),
        ("COMPLETED", None, False, False, None),
        ("CANCELED", None, False, False, EndReason.USER),
        ("ERROR", "Job timeout", False, False, EndReason.COST_CAP),
        ("ERROR", "Job failed with exit code: 137. Reason: OOMKilled", False, False, EndReason.OOM),
        ("ERROR", "Job failed with exit code: 16", False, False, EndReason.BUILD_ERROR),
        ("ERROR", "Job failed with exit code: 1. Reason: Error", False, False, "worker_died"),
        ("ERROR", "", False, False, None),
        ("LEVITATING", None, True, True, None),
    ],
)
def test_every_stage_says_whether_it_lives_and_costs(
    stage: str, message: str | None, alive: bool, costing: bool, reason: EndReason | None
) -> None:
    info = JobInfo(
        id="a" * 24,
        owner={"id": "1", "name": "ann", "type": "user"},
        status={"stage": stage, "message": message},
        labels={TIMEOUT_LABEL: "cost_cap"},
        endpoint="http://hub",
    )
    told = status_of(info)
    waits = stage == "SCHEDULING"
    assert told == Status(alive, costing, stage, message or "", told.url, reason, waiting=waits)
    assert str(told.url).endswith(f"/jobs/ann/{'a' * 24}")


def requests_of_a_launch(hub: HubServer, jobs: Jobs) -> int:
    hub.forget_requests()
    handle = jobs.launch(request_for(jobs), {"HF_TOKEN": CANARY})
    count = len(hub.requests("^/api/"))
    jobs.remove(handle)
    return count


def test_the_job_is_the_last_thing_asked_for(hub: HubServer, jobs: Jobs) -> None:
    jobs.launch(request_for(jobs), {"HF_TOKEN": CANARY})
    posts = [request["path"] for request in hub.requests(method="POST")]
    assert posts[0].endswith("/repos/create") and posts[-1] == "/api/jobs/ann"
    assert posts.count("/api/jobs/ann") == 1
    (created,) = hub.requests("/api/jobs/ann$", method="POST")
    assert CANARY not in created["path"]


@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "after": True}, {"status": 503}])
def test_a_lost_answer_to_the_job_itself_makes_no_second_one(
    hub: HubServer, jobs: Jobs, fault: dict[str, Any]
) -> None:
    request = request_for(jobs)
    hub.fault(fault, path="^/api/jobs/ann$", method="POST")
    jobs.launch(request, {"HF_TOKEN": CANARY})
    assert_one_that_runs(hub, jobs, request)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "after": True}, {"status": 503}])
def test_a_lost_answer_anywhere_costs_nothing_twice(
    hub: HubServer, jobs: Jobs, fault: dict[str, Any]
) -> None:
    for nth in range(1, requests_of_a_launch(hub, jobs) + 1):
        request = request_for(jobs)
        hub.fault(fault, path="^/api/", nth=nth)
        handle = jobs.launch(request, {"HF_TOKEN": CANARY})
        hub.clear_faults()
        assert_one_that_runs(hub, jobs, request)
        jobs.remove(handle)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/repos/create$", {"status": 403, "message": "No write access"}),
        ("/commit/", {"status": 403, "message": "No write access"}),
        ("/commit/", {"drop": True}),
        ("/tag/", {"status": 403, "message": "No write access"}),
        ("/api/jobs/ann$", {"status": 402, "message": "Pre-paid credit balance is insufficient"}),
        ("/api/jobs/ann$", {"status": 403, "message": "No Jobs with this token"}),
    ],
)
def test_what_fails_for_good_leaves_nothing(
    hub: HubServer, jobs: Jobs, path: str, fault: dict[str, Any]
) -> None:
    request, before = request_for(jobs), repos(hub)
    hub.fault(fault, path=path, method="POST", times=None)
    with pytest.raises(HubtrainError) as failed:
        jobs.launch(request, {"HF_TOKEN": CANARY})
    assert str(fault.get("message", "")) in str(failed.value)
    assert CANARY not in str(failed.value)
    hub.clear_faults()
    assert repos(hub) == before and of(hub, request) == []


def test_a_job_that_may_have_been_taken_keeps_what_it_runs(hub: HubServer, jobs: Jobs) -> None:
    request = request_for(jobs)
    hub.fault({"status": 503}, path="^/api/jobs/ann$", method="POST", times=None)
    with pytest.raises(HubUnreachable):
        jobs.launch(request, {"HF_TOKEN": CANARY})
    hub.clear_faults()
    assert request.repo_id in repos(hub)
    hub.fault({"status": 402, "message": "No credit"}, path="^/api/jobs/ann$", method="POST")
    with pytest.raises(LaunchFailed, match="No credit"):
        jobs.launch(request, {"HF_TOKEN": CANARY})
    assert request.repo_id not in repos(hub), "what an earlier launch has left is removed, too"
    jobs.launch(request, {"HF_TOKEN": CANARY})
    assert_one_that_runs(hub, jobs, request)


LAUNCH = """
import sys
sys.path[:0] = sys.argv[3:]
from benches.jobs import with_standin
from backends.jobs import Jobs
from worker.contract import JobSpec
jobs = Jobs(sys.argv[1])
jobs.launch(with_standin(jobs.plan(JobSpec.model_validate_json(sys.argv[2]))), {"HF_TOKEN": "x"})
"""


@pytest.mark.slow
def test_a_launch_killed_between_any_two_requests_is_completed_by_the_next(
    hub: HubServer, jobs: Jobs
) -> None:
    for nth in range(1, requests_of_a_launch(hub, jobs) + 1):
        spec = job()
        hub.fault({"delay": 60}, path="^/api/", nth=nth)
        words = (hub.tokens["ann"], spec.model_dump_json(), str(Path(__file__).parent))
        process = subprocess.Popen([sys.executable, "-c", LAUNCH, *words])
        until(lambda: any(r["happened"] for r in hub.admin("GET", "faults")))
        process.kill()
        process.wait(10)
        hub.clear_faults()
        request = with_standin(jobs.plan(spec))
        handle = jobs.launch(request, {"HF_TOKEN": CANARY})
        assert_one_that_runs(hub, jobs, request)
        jobs.remove(handle)


def test_a_right_that_nobody_used_is_taken_over(hub: HubServer, jobs: Jobs) -> None:
    request = request_for(jobs)
    hub.fault({"status": 403, "message": "Not now"}, path="^/api/jobs/ann$", method="POST")
    hub.fault({"status": 503}, path="/repos/delete$", times=None)
    with pytest.raises(HubUnreachable, match="may be left"):
        jobs.launch(request, {"HF_TOKEN": CANARY})
    hub.clear_faults()
    assert [t.name for t in hub.api().list_repo_refs(request.repo_id, repo_type="dataset").tags]
    jobs.launch(request, {"HF_TOKEN": CANARY})
    assert_one_that_runs(hub, jobs, request)


def test_what_is_not_ours_is_left_alone(hub: HubServer, jobs: Jobs) -> None:
    request = request_for(jobs)
    hub.api().create_repo(request.repo_id, repo_type="dataset", private=True)
    hub.api().upload_file(
        path_or_fileobj=b"1,2", path_in_repo="a.csv", repo_id=request.repo_id, repo_type="dataset"
    )
    with pytest.raises(LaunchFailed, match="not this job's"):
        jobs.launch(request, {"HF_TOKEN": CANARY})
    assert request.repo_id in repos(hub)
    command = ["python", "-c", "import time; time.sleep(60)"]
    other = hub.api().run_job(image="python:3.12", command=command, namespace="ann")
    handle = Handle("jobs", f"ann/{other.id}")
    jobs.remove(handle)
    jobs.cancel(handle)
    with pytest.raises(JobGone):
        jobs.status(handle)
    assert hub.api().inspect_job(job_id=other.id, namespace="ann").status.stage != "CANCELED"
    assert handle not in [found.handle for found in jobs.sweep("ann")]


def test_a_stranger_or_a_revoked_token_does_not_make_a_job_look_gone(
    hub: HubServer, jobs: Jobs
) -> None:
    request = request_for(jobs)
    handle = jobs.launch(request, {"HF_TOKEN": CANARY})
    with pytest.raises(NoWrite, match="ann"):
        Jobs(hub.tokens["bob"], Hasty()).status(handle)
    with pytest.raises(NoWrite):
        Jobs(None, Hasty()).status(handle)
    hub.admin("PUT", "tokens", {"token": jobs.token, "revoked": True})
    try:
        with pytest.raises(NoWrite, match="refused this token"):
            jobs.status(handle)
    finally:
        hub.admin("PUT", "tokens", {"token": jobs.token, "revoked": False})
    assert jobs.status(handle).alive
    assert [f.job_id for f in jobs.sweep("ann") if f.status.alive] == [request.job_id]


def test_following_survives_streams_that_drop(hub: HubServer, jobs: Jobs) -> None:
    handle = jobs.launch(request_for(jobs, lines=20), {"HF_TOKEN": CANARY})
    hub.fault({"drop_stream_after": 3}, path=r"/logs$", times=2)
    hub.fault({"drop": True}, path=r"/logs$", nth=3)
    seen = []
    for line in jobs.logs(handle, follow=True):
        seen.append(line)
        if line == "line 19":
            jobs.cancel(handle)
    assert seen == list(jobs.logs(handle))
    assert [line for line in seen if line.startswith("line")] == [f"line {n}" for n in range(20)]


def test_the_hub_ends_a_job_at_its_limit_and_that_is_told(hub: HubServer, jobs: Jobs) -> None:
    limits = Limits(max_usd=1e-9, push_seconds=-298)
    handle = jobs.launch(request_for(jobs, limits=limits), {"HF_TOKEN": CANARY})
    status = until(lambda: None if (s := jobs.status(handle)).alive else s)
    assert (status.stage, status.reason) == ("ERROR", EndReason.COST_CAP)


def test_what_was_written_before_the_worker_spoke_is_told_apart(hub: HubServer, jobs: Jobs) -> None:
    request = request_for(jobs)
    says = b"print('no such package'); print('@hubtrain {}'); print(1); raise SystemExit(16)"
    files = [f for f in request.files if f.path != "worker/__main__.py"]
    files.append(RepoFile("worker/__main__.py", says))
    handle = jobs.launch(replace(request, files=tuple(files)), {"HF_TOKEN": CANARY})
    status = until(lambda: None if (s := jobs.status(handle)).alive else s)
    assert status.reason is EndReason.BUILD_ERROR
    assert list(jobs.build_logs(handle)) == ["no such package"]


def test_a_worker_on_a_job_knows_who_ended_it(hub: HubServer, jobs: Jobs) -> None:
    handle = jobs.launch(request_for(jobs), {"HF_TOKEN": CANARY})
    job_id = handle.path.partition("/")[2]
    environ = {
        "JOB_ID": job_id,
        "HUBTRAIN_NAMESPACE": "ann",
        "HF_TOKEN": hub.tokens["ann"],
        "ACCELERATOR": "t4-small",
    }
    host = Job(environ)
    assert Job.is_here(environ) and not Job.is_here({"JOB_ID": "4711"})
    assert host.stopped_on_purpose() is None, "the machine was taken away"
    jobs.cancel(handle)
    ended = host.stopped_on_purpose()
    assert ended is not None and ended.reason is EndReason.USER
    assert host.stop_billing(clock=Hasty(), log=print)


def test_the_address_of_a_page_is_in_the_price() -> None:
    plain = Flavor("t4-small", "T4", 0.4, 15e9)
    dear = Jobs().given(plain, JobsOptions(jobs_page=True))
    assert (dear.usd_per_hour, Jobs().given(plain, JobsOptions())) == (0.41, plain)


def test_the_page_opens_to_the_key_of_its_token_alone() -> None:
    key = page_key("hf_ann", "a" * 24)
    assert key not in {page_key("hf_bob", "a" * 24), page_key("hf_ann", "b" * 24)}
    door = JobDoor(key, "k4x7qp")
    cookie = door.cookie_for(key)
    assert cookie is not None and door.viewer(dict([cookie]), {}).may_stop
    assert door.cookie_for("guess") is None and not door.viewer({}, {}).may_look
    assert JobDoor(None, "k4x7qp").cookie_for("") is None
    handle = Handle("jobs", "ann/" + "a" * 24)
    opened = Jobs("hf_ann").page(handle, f"https://{'a' * 24}--7860.hf.jobs")
    assert opened == f"https://{'a' * 24}--7860.hf.jobs?key={key}"
    assert Jobs("hf_ann").page(handle, "https://hub/jobs/ann/x") == "https://hub/jobs/ann/x"


# the image, and what it lacks


def test_a_job_in_the_image_of_a_space_runs_its_own_worker(hub: HubServer, jobs: Jobs) -> None:
    """The Space of an earlier job holds a worker, too, in the folder where programs begin."""
    older = new_space(hub, files={"worker/__init__.py": "raise SystemExit(9)"})
    options = {"jobs_image": f"hf.co/spaces/{older}"}
    machine = Machine(backend="jobs", flavor="cpu-basic", usd_per_hour=0.01, options=options)
    request = request_for(jobs, machine=machine)
    assert "what it lacks" in repr(request)
    handle = jobs.launch(request, {"HF_TOKEN": CANARY})
    until(lambda: "line 4" in list(jobs.logs(handle)))
    (ran,) = of(hub, request)
    assert ran.space_id == older


def test_an_image_with_all_that_is_asked_for_is_taken_as_it_is(tmp_path: Path) -> None:
    asked = tmp_path / "requirements.txt"
    asked.write_text("pydantic>=2\npytest\n")
    assert has_all(asked)
    asked.write_text("pydantic>=99\n")
    assert not has_all(asked)
    asked.write_text("no-such-package-at-all\n")
    assert not has_all(asked)


UV = """#!/bin/sh
echo "uv $@"
[ "$1" = venv ] && mkdir -p "$5/bin" && ln -s "$4" "$5/bin/python"
[ "$1" = venv ] || [ -z "$BROKEN" ]
"""


@pytest.mark.parametrize("broken", ["", "yes"])
def test_what_the_image_lacks_is_installed_torch_first(tmp_path: Path, broken: str) -> None:
    """With a stand-in for uv, which says what it is asked for."""
    code, programs = tmp_path / "job", tmp_path / "bin"
    (code / "worker").mkdir(parents=True)
    (code / "worker" / "bootstrap.py").write_bytes(
        (Path(__file__).parents[1] / "worker" / "bootstrap.py").read_bytes()
    )
    (code / "worker" / "__main__.py").write_text("import os, sys; print('worker in', os.getcwd())")
    (code / "requirements.txt").write_text("no-such-package-at-all\n")
    programs.mkdir()
    (programs / "uv").write_text(UV)
    (programs / "uv").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "worker.bootstrap"],
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(code),
            "TMPDIR": str(tmp_path),
            "BROKEN": broken,
        },
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("uv venv") and "--no-deps" in lines[1] and "torch.txt" in lines[1]
    if broken:
        assert done.returncode == BUILD_ERROR == EndReason.BUILD_ERROR.exit_code
        assert "could not be installed" in lines[-1]
    else:
        assert "--constraint" in lines[2] and lines[3] == f"worker in {tmp_path / 'hubtrain'}"
