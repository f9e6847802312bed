"""Jobs in containers: their image, which is the house's, and the processes in them.

The engine may have others' containers: nothing here touches what is not of a job of this campaign.
"""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PLACE = "docker"
LOCK = Path(tempfile.gettempdir(), "hubtrain-worker-image.lock")


def settings(house: Path) -> dict[str, Any]:
    """Return what a job needs to see of this machine: the house's conditions, and the Hub."""
    return {"docker-network": "host", "house": str(house)}


def build() -> str:
    """Build the image of the house's quick jobs, and return its name.

    It takes the backend that this process imports, so `PYTHONPATH` has to begin with the house.
    """
    from backends.docker.engine import engine
    from backends.docker.image import build
    from backends.docker.options import DockerOptions
    from backends.docker.request import plan
    from worker.contract import DataRef, JobSpec, Machine

    options = DockerOptions(docker_network="host").model_dump()
    machine = Machine(backend=PLACE, flavor="cpu", options=options)
    job: dict[str, Any] = {"job_id": "x", "project": "x", "task": "quick", "params": {}}
    request = plan(JobSpec(**job, extras=("worker",), data=DataRef(), machine=machine))
    with LOCK.open("w") as lock, engine(request.place) as there:
        fcntl.flock(lock, fcntl.LOCK_EX)  # what one lane builds is there for the next
        build(there, request)
    return request.image


def take_away(image: str) -> None:
    """Remove an image; its layers stay, for the next campaign."""
    _docker("image", "rm", "--force", "--no-prune", image)


def remove(job_ids: list[str]) -> None:
    """Remove the containers of jobs."""
    for name in map(_named, job_ids):
        _docker("rm", "--force", name)


def running(job_id: str) -> bool:
    """Whether a job's container runs."""
    return _docker("inspect", "--format", "{{.State.Running}}", _named(job_id)) == "true"


def process(job_ids: list[str], inside: int) -> int | None:
    """Return what this machine calls a process that calls itself `inside`; none that runs."""
    for job_id in filter(running, job_ids):
        first = int(_docker("inspect", "--format", "{{.State.Pid}}", _named(job_id)))
        for pid in _with_children(first):
            if _names(pid)[-1:] == [inside]:
                return pid
    return None


def _names(pid: int) -> list[int]:
    """Return a process's ids, from this machine's to that in its innermost namespace."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
        line = next(one for one in status.splitlines() if one.startswith("NSpid:"))
        return [int(word) for word in line.split()[1:]]
    return []


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text("utf-8").split():
                yield from _with_children(int(child))


def _named(job_id: str) -> str:
    return f"hubtrain-{job_id}"


def _docker(*words: str) -> str:
    """Run a command of docker and return what it printed; nothing where it failed."""
    ran = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""
