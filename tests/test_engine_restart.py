"""A Docker engine that goes away while it has a job, and comes back: one of the test's own."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from benches.docker import DockerBench
from standins.containers import docker, need_engine
from standins.waiting import until

from backends.docker import Docker
from worker.errors import HubtrainError

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(280)]

BASE = "python:3.11-slim"


@dataclass
class Engine:
    """`dockerd` with a folder of its own, without a network."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"unix://{self.folder}/sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = ["--data-root", "data", "--exec-root", "exec", "--pidfile", "pid"]
        words = [w if w.startswith("--") else str(self.folder / w) for w in words]
        words += ["--host", self.address, "--bridge", "none", "--iptables=false"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", *words], stdout=log, stderr=log, start_new_session=True
            )
        until(self.answers, 60)

    def answers(self) -> bool:
        asked = subprocess.run(
            ["docker", "--host", self.address, "info"], capture_output=True, check=False
        )
        return asked.returncode == 0

    def end(self, how: signal.Signals) -> None:
        """End it, and wait until it is gone."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(60)
        for file in ("pid", "exec/containerd/containerd.pid"):  # as a restart of the machine does
            (self.folder / file).unlink(missing_ok=True)

    def load(self, image: str) -> None:
        """Take an image over from the engine that is there."""
        with tempfile.TemporaryFile() as file:
            subprocess.run(["docker", "save", image], stdout=file, check=True)
            file.seek(0)
            words = ["docker", "--host", self.address, "load", "--quiet"]
            subprocess.run(words, stdin=file, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    need_engine()
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("dockerd, for root, is not on this machine")
    made = Engine(Path(tempfile.mkdtemp(prefix="hubtrain-engine-", dir="/var/tmp")))
    made.start()
    made.load(BASE)
    yield made
    made.end(signal.SIGTERM)
    shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture
def bench(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DockerBench]:
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
    engine: Engine, bench: DockerBench, how: signal.Signals
) -> None:
    request, handle = bench.launch(bench.job(lines=10_000))
    until(lambda: "line 3" in list(bench.backend.logs(handle)), 60)
    engine.end(how)
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
    engine: Engine, bench: DockerBench
) -> None:
    request = bench.plan(bench.job(lines=10_000))
    engine.end(signal.SIGKILL)
    assert "Docker" in refused(lambda: bench.backend.launch(request, {}))
    engine.start()
    handle = bench.backend.launch(request, {"HF_TOKEN": "hf_x"})
    until(lambda: "line 3" in list(bench.backend.logs(handle)), 60)
    assert len(docker("ps", "--all", "--quiet").split()) == 1
    bench.backend.cancel(handle)
    until(lambda: not bench.backend.status(handle).alive, 60)
