"""A bench: somewhere for one backend to run, with a stand-in as its worker.

`tests/benches/<name>.py` holds the bench of the backend of that name and ends with
`BENCH = ItsBench`; the tests that judge every backend find it there.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from backends.base import Backend
from backends.handle import Handle
from standins.localhub import HubServer
from worker.clock import SystemClock
from worker.contract import DataRef, JobSpec, Limits, Machine, ModelRef, PushTarget

STANDIN = Path(__file__).parent / "lines.py"
"""The stand-in for `python -m worker`: a program that reads `job.json` and writes lines."""

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


def job(backend: str, lines: int = 5, *, flavor: str | None = None, **changes: Any) -> JobSpec:
    """Return a job of the stand-in."""
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

    name: ClassVar[str]
    flavor: ClassVar[str | None] = None
    """The machine its jobs ask for."""

    def __init__(self, backend: Backend[Any]) -> None:
        self.backend = backend

    @classmethod
    @abstractmethod
    def open(cls, request: pytest.FixtureRequest) -> AbstractContextManager[Bench]:
        """Start the far side and yield a bench on it; end what was started.

        `request.getfixturevalue` gives every fixture there is: `tmp_path`, `monkeypatch`, or the
        local Hub as `hub`. `HF_HOME` and `HUBTRAIN_HOME` are folders of this test alone.
        """

    @abstractmethod
    def plan(self, spec: JobSpec) -> Any:
        """Return the backend's plan of the job, with the stand-in as its worker."""

    @abstractmethod
    def kept(self, request: Any) -> str:
        """Return all that is kept of a launched job where others may look."""

    def job(self, lines: int = 5, **changes: Any) -> JobSpec:
        return job(self.name, lines, flavor=self.flavor, **changes)

    def launch(self, spec: JobSpec) -> tuple[Any, Handle]:
        request = self.plan(spec)
        return request, self.backend.launch(request, {"HF_TOKEN": CANARY})


def bench_of(name: str) -> type[Bench]:
    """Return the bench of a backend; a test of a backend without one fails and says where."""
    if find_spec(f"benches.{name}") is None:
        pytest.fail(f"the backend {name} has no bench: write tests/benches/{name}.py")
    bench: type[Bench] = import_module(f"benches.{name}").BENCH
    return bench
