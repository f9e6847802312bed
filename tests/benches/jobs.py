"""The local Hub, which really runs Jobs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import get_session
from standins.bench import STANDIN, Bench
from standins.bench import job as any_job
from standins.localhub import HubServer

from backends.hub.files import RepoFile
from backends.jobs import Jobs
from backends.jobs.request import JobRequest
from worker.contract import JobSpec


class JobsBench(Bench):
    """Jobs of ann's."""

    name = "jobs"
    flavor = "t4-small"

    @classmethod
    @contextmanager
    def open(cls, request: pytest.FixtureRequest) -> Iterator[Bench]:
        hub: HubServer = request.getfixturevalue("hub")
        yield cls(Jobs(hub.tokens["ann"]))
        cancel_all(hub)

    def plan(self, spec: JobSpec) -> JobRequest:
        return with_standin(self.backend.plan(spec))

    def kept(self, request: JobRequest) -> str:
        handle = self.backend.find(request)
        assert handle is not None
        api = self.backend.api  # type: ignore[attr-defined]
        headers = {"Authorization": f"Bearer {self.backend.token}"}
        paths = ("ann", handle.path, f"{handle.path}/logs")
        told = [
            get_session().get(f"{api.endpoint}/api/jobs/{p}", headers=headers) for p in paths[:2]
        ]
        names = [f.path for f in request.files]
        files = (api.hf_hub_download(request.repo_id, n, repo_type="dataset") for n in names)
        texts = (Path(f).read_text() for f in files)
        return "".join([*(t.text for t in told), *texts, *self.backend.logs(handle)])


def cancel_all(hub: HubServer) -> None:
    """Leave no Job of ann's at work."""
    api = hub.api()
    for job in api.list_jobs(namespace="ann", status=["SCHEDULING", "RUNNING"]):
        api.cancel_job(job_id=job.id, namespace="ann")


def with_standin(request: JobRequest) -> JobRequest:
    """Return the Job with the stand-in for its worker, which needs nothing installed."""
    kept = [f for f in request.files if f.path == "worker/bootstrap.py" or "worker/" not in f.path]
    files = [f for f in kept if f.path != "requirements.txt"]
    files += [
        RepoFile("requirements.txt", b""),
        RepoFile("worker/__init__.py", b""),
        RepoFile("worker/__main__.py", STANDIN.read_bytes()),
    ]
    return dataclasses.replace(request, files=tuple(files))


job = partial(any_job, "jobs", flavor=JobsBench.flavor)
"""A job of the stand-in that runs as a Job."""

BENCH = JobsBench
