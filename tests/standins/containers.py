"""What tests of real containers share: an engine that answers, and one image for all of them."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import LACKING

from backends.docker.engine import engine
from backends.docker.image import build
from backends.docker.request import plan
from standins.bench import job

ENGINE = "a Docker engine (tests/services/docker.sh up starts one)"
"""What tests of containers need, as the summary names it."""


left_open = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The package `docker` leaves its socket open where no engine answers: to be collected there."""


def need_engine() -> None:
    """Leave the test out where no Docker engine answers."""
    with suppress(OSError, subprocess.TimeoutExpired):
        asked = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=30)
        if asked.returncode == 0:
            return
    pytest.skip(f"{ENGINE} {LACKING}")


def worker_image(task: str = "llm") -> str:
    """Return the image of a task's jobs on a CPU, as `--backend docker` names it.

    It takes a minute to build, so it stays for the next test, and two processes of tests wait for
    each other.
    """
    need_engine()
    request = plan(job("docker", flavor="cpu", task=task))
    with Path(tempfile.gettempdir(), "hubtrain-worker-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with engine(request.place) as there:
            build(there, request)
    return request.image


def docker(*words: str) -> str:
    """Run a command of docker and return what it printed; its errors fail the test."""
    ran = subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=False, timeout=1400
    )
    assert ran.returncode == 0, f"docker {words[0]}: {ran.stdout[-4000:]}{ran.stderr[-4000:]}"
    return ran.stdout.strip()
