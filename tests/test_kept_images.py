"""Images that jobs run in and that stay: the Space of a Job's own one, and those of an engine."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from benches.docker import with_standin as docker_standin
from benches.jobs import cancel_all, job, with_standin
from standins.bench import CANARY, Hasty
from standins.bench import job as any_job
from standins.containers import docker, need_engine
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.waiting import until

from backends.base import silent
from backends.docker import Docker
from backends.docker.engine import engine
from backends.docker.image import build
from backends.errors import BackendError, LaunchFailed
from backends.hub.files import RepoFile
from backends.jobs import Jobs
from backends.jobs.launch import Launch
from backends.jobs.request import JobRequest
from worker.contract import EndReason, Limits, Machine
from worker.errors import HubtrainError, HubUnreachable

OWN = Machine(backend="jobs", flavor="t4-small", usd_per_hour=0.4, options={"jobs_image": "own"})


class Later(Hasty):
    """A clock that is an hour ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


@pytest.fixture
def hub(shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    shared_hub.forget_requests()
    yield shared_hub
    shared_hub.clear_faults()
    cancel_all(shared_hub)
    for space in shared_hub.api().list_spaces(author="ann"):
        shared_hub.api().delete_repo(space.id, repo_type="space")


@pytest.fixture
def jobs(hub: HubServer) -> Jobs:
    return Jobs(hub.tokens["ann"], Hasty())


def request_for(jobs: Jobs, **changes: Any) -> JobRequest:
    return with_standin(jobs.plan(job(machine=OWN, **changes)))


def launch(jobs: Jobs, request: JobRequest) -> Any:
    """Launch it and return the Job at the Hub."""
    return jobs._job(jobs.launch(request, {"HF_TOKEN": CANARY}))


def test_the_image_is_built_once_and_its_space_paused(hub: HubServer, jobs: Jobs) -> None:
    one, other = request_for(jobs), request_for(jobs)
    assert "build the image of the private Space ann/hubtrain-image-" in repr(one)
    assert one.image == other.image and one.image in repr(one).splitlines()[-1]
    made = launch(jobs, one)
    space = one.image.removeprefix("hf.co/spaces/")
    assert made.space_id == space
    runtime = hub.api().get_space_runtime(space)
    assert (runtime.stage, runtime.hardware) == ("PAUSED", None)
    assert hub.api().repo_info(space, repo_type="space").private
    assert CANARY not in str(hub.api().get_space_secrets(space))
    hub.forget_requests()
    assert launch(jobs, other).space_id == space
    assert not hub.requests(f"/api/spaces/{space}/(commit|restart|pause)", method="POST")
    until(lambda: "line 0" in list(jobs.logs(jobs.launch(one, {}))))
    assert jobs.writes("ann", "p") == ("ann/p-…",)
    options = jobs.options(jobs_image="own")
    assert jobs.having(options, None).writes("ann", "p")[1] == "ann/hubtrain-image-…"


def test_an_image_is_not_removed_under_a_launch(hub: HubServer, jobs: Jobs) -> None:
    """Whoever removes it gives in while it is noted as used; what is removed is built again."""
    request, later = request_for(jobs), Jobs(hub.tokens["ann"], Later())
    first = Launch(jobs.api, request, {}, jobs.clock, silent)
    first._with_image()
    with pytest.raises(BackendError, match="is being launched in it"):
        jobs.remove_image(request.image)
    later.remove_image(request.image)  # the laptop slept for an hour
    first.clock = first.image.clock = later.clock
    job = first.run()
    assert job.space_id == request.own_repo, "the Space was made anew"
    assert hub.api().get_space_runtime(request.own_repo).stage == "PAUSED"
    tags = hub.api().list_repo_refs(request.own_repo, repo_type="space").tags
    assert sorted(tag.name.partition("-")[0] for tag in tags) == ["built", "used"]


def test_two_launches_at_the_end_of_a_build_leave_it_paused(hub: HubServer, jobs: Jobs) -> None:
    """One looks at the Space as the other has paused it, which takes long to note its build."""
    one, other = request_for(jobs), request_for(jobs)
    space = f"/api/spaces/{one.own_repo}"
    hub.fault({"delay": 3, "times": 1}, method="POST", path=f"{space}/tag", nth=2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(launch, jobs, one)
        until(lambda: hub.requests(f"{space}/pause", method="POST"))
        made = [launch(jobs, other), first.result()]
    assert [job.space_id for job in made] == [one.own_repo] * 2
    assert hub.api().get_space_runtime(one.own_repo).stage == "PAUSED"
    assert not hub.requests(f"/api/spaces/{one.own_repo}/restart", method="POST")


def test_who_was_killed_before_it_paused_a_space_leaves_that_to_the_next(
    hub: HubServer, jobs: Jobs
) -> None:
    request = request_for(jobs)
    hub.fault({"status": 400}, method="POST", path=f"/api/spaces/{request.own_repo}/pause")
    with pytest.raises(HubtrainError, match="400"):
        jobs.launch(request, {})
    hub.clear_faults()
    launch(jobs, request)
    assert hub.api().get_space_runtime(request.own_repo).stage == "PAUSED"


def test_an_image_that_a_job_of_another_namespace_uses_stays(hub: HubServer, jobs: Jobs) -> None:
    image = request_for(jobs).image
    hub.api().cancel_job(job_id=launch(jobs, request_for(jobs)).id, namespace="ann")
    given = OWN.model_copy(update={"options": {"jobs_image": image}})
    long = Limits(max_seconds=2 * 3600)
    request = with_standin(jobs.plan(job(machine=given, owner="lab", lines=9_000, limits=long)))
    made = launch(jobs, request)
    assert (made.owner.name, made.space_id) == ("lab", request.own_repo)
    later = Jobs(hub.tokens["ann"], Later())
    assert [one.used_by for one in later.images(["ann"])] == [(made.id,)]
    hub.api().cancel_job(job_id=made.id, namespace="lab")
    assert later.images(["ann"])[0].arriving, "noted for as long as the job may take"
    gone = dataclasses.replace(request, image=f"{image[:-3]}000", job_id="xyz")
    with pytest.raises(LaunchFailed, match="is not there"):
        jobs.launch(gone, {})


def test_other_packages_are_another_image_and_another_worker_is_not(jobs: Jobs) -> None:
    texts, tables = jobs.plan(job(machine=OWN)), jobs.plan(job(machine=OWN, task="tabular"))
    assert texts.own_repo != tables.own_repo
    cpu = OWN.model_copy(update={"accelerators": 1})
    assert jobs.plan(job(machine=cpu)).own_repo != texts.own_repo
    assert request_for(jobs).own_repo == texts.own_repo


@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "after": True}, {"status": 503}])
def test_an_answer_that_is_lost_leaves_one_space_and_one_job(
    hub: HubServer, jobs: Jobs, fault: dict[str, Any]
) -> None:
    """At each of the requests that change something, one after the other."""
    for nth in range(1, 9):
        request = request_for(jobs)
        hub.fault({**fault, "times": 1}, method="POST", path="/api/", nth=nth)
        try:
            made = launch(jobs, request)
        except HubUnreachable:
            made = launch(jobs, request)
        hub.clear_faults()
        assert made.space_id == request.own_repo
        assert [s.id for s in hub.api().list_spaces(author="ann")] == [request.own_repo]
        assert hub.api().get_space_runtime(request.own_repo).stage == "PAUSED"
        found = hub.api().list_jobs(namespace="ann", labels={"hubtrain-job": request.job_id})
        assert len(list(found)) == 1
        hub.api().delete_repo(request.own_repo, repo_type="space")


def test_a_build_that_fails_is_told_and_rents_nothing(hub: HubServer, jobs: Jobs) -> None:
    request = request_for(jobs)
    broken = [one for one in request.own_image if one.path != "Dockerfile"]
    broken.append(RepoFile("Dockerfile", b"FORM python:3.11\n"))
    request = dataclasses.replace(request, own_image=tuple(broken))
    with pytest.raises(LaunchFailed, match="could not be built") as failed:
        jobs.launch(request, {})
    assert failed.value.reason is EndReason.BUILD_ERROR and "FORM" in failed.value.message
    assert jobs.find(request) is None
    assert not hub.api().repo_exists(request.repo_id, repo_type="dataset")
    hub.forget_requests()
    with pytest.raises(LaunchFailed, match="could not be built"):
        jobs.launch(request, {})
    assert hub.requests(f"/api/spaces/{request.own_repo}/restart", method="POST"), "tried again"


def test_a_space_of_others_with_our_tag_is_no_image(hub: HubServer, jobs: Jobs) -> None:
    name = "ann/hubtrain-image-mine"
    hub.api().create_repo(name, repo_type="space", space_sdk="docker")
    page = b"---\nsdk: docker\ntags: [hubtrain-image]\n---\n"
    hub.api().upload_file(
        path_or_fileobj=page, path_in_repo="README.md", repo_id=name, repo_type="space"
    )
    assert jobs.images(["ann"]) == []
    with pytest.raises(BackendError, match="was not made by hubtrain"):
        jobs.remove_image(f"hf.co/spaces/{name}")


def test_gc_removes_the_spaces_of_images_that_no_job_runs_in(
    hub: HubServer, jobs: Jobs, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path / "home", hub)
    request = request_for(jobs, lines=10_000)
    handle = jobs.launch(request, {"HF_TOKEN": CANARY})
    later = Jobs(hub.tokens["ann"], Later())
    (used,) = later.images(["ann"])
    assert (used.name, used.used_by) == (request.image, (handle.path.partition("/")[2],))
    with pytest.raises(BackendError, match="runs in it"):  # since it was listed, say
        later.remove_image(request.image)
    jobs.cancel(handle)
    assert not jobs.images(["ann"])[0].free and later.images(["ann"])[0].free
    said = laptop.run("gc", "--images", "--yes", DOCKER_HOST="unix:///nowhere.sock")
    assert f"{request.image} · size not told · made just now" in said.out
    later.remove_image(request.image)
    later.remove_image(request.image)
    assert not hub.api().repo_exists(request.own_repo, repo_type="space")
    with pytest.raises(BackendError, match="was not made by hubtrain"):
        later.remove_image("hf.co/spaces/ann/mine")
    jobs.remove(handle)


def test_gc_removes_the_images_of_an_engine_that_no_container_uses(tmp_path: Path) -> None:
    """Others' images are listed, and left: this one says that it is all that may go."""
    need_engine()
    here = Docker()
    request = docker_standin(here.plan(any_job("docker", flavor="cpu")))
    mark = {"worker/mark.txt": uuid.uuid4().hex.encode()}  # an image of this test alone
    request = dataclasses.replace(request, files={**request.files, **mark})
    name = request.image.replace(":", "-")
    with engine("") as there:
        build(there, request)
    docker("run", "--name", name, request.image, "true")
    docker("commit", name, f"of-others:{name}")  # made from ours: it has our label, too
    try:
        with pytest.raises(BackendError, match="was not made by hubtrain"):
            here.remove_image(f"of-others:{name}")
        found = {one.name: one for one in here.images([])}
        assert found[request.image].used_by == (name,)
        assert (found[request.image].size_bytes or 0) > 1e6
        with pytest.raises(BackendError, match="refused"):
            here.remove_image(request.image)
        assert f"of-others:{name}" not in found
    finally:
        docker("rm", name)
        docker("rmi", f"of-others:{name}")
    assert {one.name: one.free for one in here.images([])}[request.image]
    here.remove_image(request.image)
    assert request.image not in {one.name for one in here.images([])}
    here.remove_image(request.image)
    with pytest.raises(BackendError, match="was not made by hubtrain"):
        here.remove_image("python:3.11-slim")
    steps: list[str] = []

    def removing(step: str, share: float | None) -> None:
        if step.startswith("creating") and step not in steps:
            here.remove_image(request.image)  # by another command, just now
        steps.append(step)

    handle = here.launch(request, {"HF_TOKEN": CANARY}, removing)
    assert len([step for step in steps if step.startswith("creating")]) == 2
    here.remove(handle)
    here.remove_image(request.image)
