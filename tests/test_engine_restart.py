"""A Docker engine that goes away while it has a job, and comes back: one of the test's own."""

from __future__ import annotations

import gc
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benches.docker import DockerBench
from standins.containers import docker, need_engine
from standins.engine import OwnEngine, own_engine
from standins.waiting import until

from backends.docker import Docker
from worker.errors import HubtrainError

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(280)]

BASE = "python:3.11-slim"


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    need_engine()
    with own_engine() as engine:
        engine.take(BASE)
        yield engine


@pytest.fixture
def bench(
    engine: OwnEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[DockerBench]:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    yield DockerBench(Docker())
    for name in docker("ps", "--all", "--quiet").split():
        docker("rm", "--force", name)


def refused(act: Callable[[], object]) -> str:
    """Return what is said where no engine answers. The SDK leaves the socket that it tried open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            act()
            said = "nothing"
        except HubtrainError as error:
            said = str(error)
        gc.collect()
    return said


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_of_an_engine_that_is_restarted_is_known_and_not_made_twice(
    engine: OwnEngine, bench: DockerBench, how: signal.Signals
) -> None:
    request, handle = bench.launch(bench.job(lines=10_000))
    until(lambda: "line 3" in list(bench.backend.logs(handle)), 60)
    engine.stop(how)
    assert "Docker" in refused(lambda: bench.backend.status(handle))
    engine.start()
    assert not until(lambda: bench.backend.status(handle), 60).alive
    assert list(bench.backend.logs(handle)).count("line 3") == 1
    assert bench.backend.find(request) == handle
    assert bench.backend.launch(request, {}) == handle, "what has run is not run again"
    assert not bench.backend.status(handle).alive
    bench.backend.remove(handle)
    assert docker("ps", "--all", "--quiet") == ""


def test_a_launch_without_an_engine_is_completed_by_the_next(
    engine: OwnEngine, bench: DockerBench
) -> None:
    request = bench.plan(bench.job(lines=10_000))
    engine.stop(signal.SIGKILL)
    assert "Docker" in refused(lambda: bench.backend.launch(request, {}))
    engine.start()
    handle = bench.backend.launch(request, {"HF_TOKEN": "hf_x"})
    until(lambda: "line 3" in list(bench.backend.logs(handle)), 60)
    assert len(docker("ps", "--all", "--quiet").split()) == 1
    bench.backend.cancel(handle)
    until(lambda: not bench.backend.status(handle).alive, 60)
