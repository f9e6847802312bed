"""Somewhere for each backend to run, with a stand-in as its worker."""

from __future__ import annotations

import dataclasses
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backends.base import Backend
from backends.handle import Handle
from backends.spaces.request import SpaceFile, SpaceRequest
from standins.localhub import HubServer
from worker.clock import SystemClock
from worker.contract import DataRef, JobSpec, Limits, Machine, ModelRef, PushTarget

STANDIN = Path(__file__).parent / "lines.py"
CANARY = "hf_canaryCanaryCanaryCanaryCanary0123"


class Hasty(SystemClock):
    """A clock for which waiting takes almost no time."""

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))


def without_spaces(hub: HubServer) -> Iterator[HubServer]:
    """Yield the Hub as it is between tests: no requests, faults or Spaces of ann's."""
    hub.forget_requests()
    yield hub
    hub.clear_faults()
    for space in spaces_of_ann(hub):
        hub.api().delete_repo(space, repo_type="space")


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
        request = self.backend.plan(spec)
        return dataclasses.replace(request, command=(sys.executable, str(STANDIN)))

    def kept(self, request: Any) -> str:
        files = (f for f in request.folder.path.rglob("*") if f.is_file())
        return "".join(f.read_text(errors="replace") for f in files)


class SpacesBench(Bench):
    name = "spaces"

    def plan(self, spec: JobSpec) -> SpaceRequest:
        return with_standin(self.backend.plan(spec))

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


def until(done: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return what `done` returns once that is true."""
    end = time.monotonic() + seconds
    while not (answer := done()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return answer
