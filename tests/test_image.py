"""The image of a CPU machine: really built by Docker, and a job really trained in it.

Needs a Docker engine; `tests/services/docker.sh up` starts one on a machine that has none.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from standins import small_job
from standins.containers import docker, worker_image

from backends.hub.space import PAGE_PORT
from worker.contract import Started, from_line

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

THERE = Path("/job")
KEY = "the-key-of-the-page"


@pytest.fixture
def image() -> str:
    """The image of a CPU machine, built from the files a Space gets."""
    return worker_image()


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with a small job that the user of the image may write into."""
    small_job.write(tmp_path, seen_as=THERE)
    for folder in ("out", "work"):
        (tmp_path / folder).mkdir()
    for path in (tmp_path, *tmp_path.rglob("*")):  # weights are written for their owner alone
        path.chmod(0o777 if path.is_dir() else 0o644)
    return tmp_path


@pytest.fixture
def running(image: str, job: Path) -> Iterator[str]:
    """The container that runs the job; it is gone after the test."""
    given = {**small_job.environment(THERE), "HUBTRAIN_PAGE_KEY": KEY}
    container = docker(
        *("run", "--detach", "--volume", f"{job}:{THERE}", "--publish", f"127.0.0.1::{PAGE_PORT}"),
        *(f"--env={name}={value}" for name, value in given.items()),
        image,
    )
    yield container
    docker("rm", "--force", "--volumes", container)


def test_a_job_trains_in_the_image_and_shows_its_page(image: str, running: str, job: Path) -> None:
    assert "small-job" in page_of(running)
    assert docker("exec", running, "id", "-u") == "1000"
    assert docker("wait", running) == "0", docker("logs", running)
    losses = small_job.check(job)
    assert losses[-1] < losses[0]
    assert {f.stat().st_uid for f in (job / "out").iterdir()} == {1000}
    found = packages(image)
    assert re.fullmatch(r"[\d.]+\+cpu", found["torch"])
    assert not [name for name in found if name.startswith(("nvidia", "triton", "cuda-bindings"))]


def packages(image: str) -> dict[str, str]:
    """Return the versions of what is installed in it, by name."""
    listed = docker("run", "--rm", image, "pip", "list", "--format", "json")
    return {one["name"].lower(): one["version"] for one in json.loads(listed)}


def page_of(container: str) -> str:
    """Return the page as its user's browser gets it, by the address that the job tells."""
    port = docker("port", container, str(PAGE_PORT)).rpartition(":")[2]
    url = started(container).page or ""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as browser:
        host = {"host": httpx.URL(url).netloc.decode()}
        let_in = browser.get("/", params={"key": KEY}, headers=host)
        assert let_in.is_redirect, let_in.text
        cookie = let_in.headers["set-cookie"].partition(";")[0]
        page = browser.get("/", headers={**host, "cookie": cookie})
    assert page.status_code == httpx.codes.OK, page.text
    return page.text


def started(container: str) -> Started:
    """Wait for the worker's first words."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        events = (from_line(line) for line in docker("logs", container).split("\n"))
        if found := next((e for e in events if isinstance(e, Started)), None):
            return found
        time.sleep(0.5)
    pytest.fail(f"the worker said nothing: {docker('logs', container)}")
