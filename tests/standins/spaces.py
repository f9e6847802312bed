"""Making and visiting Spaces of a local Hub in tests."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil
from huggingface_hub import CommitOperationAdd, SpaceRuntime

from standins.localhub import HubServer
from standins.waiting import PATIENCE

README = "---\nsdk: docker\napp_port: 7860\n---\n# A Space\n"
SERVE = 'CMD ["python", "app.py"]'
PROGRAM = (Path(__file__).parent / "space_app.py").read_bytes()
NUMBERS = itertools.count()


def dockerfile(*lines: str) -> str:
    """Return a Dockerfile with these lines between FROM and the end."""
    return "\n".join(["FROM python:3.11", "WORKDIR /app", "COPY . .", *lines]) + "\n"


def new_space(
    hub: HubServer,
    command: str = SERVE,
    *,
    files: dict[str, str] | None = None,
    private: bool = True,
    **create: Any,
) -> str:
    """Create a Space of ann's and commit its files; return its id without waiting."""
    api = hub.api("ann")
    name = f"ann/s{next(NUMBERS)}"
    api.create_repo(name, repo_type="space", space_sdk="docker", private=private, **create)
    commit(hub, name, {"README.md": README, "Dockerfile": dockerfile(command), **(files or {})})
    return name


def commit(hub: HubServer, name: str, files: dict[str, str]) -> None:
    """Commit files, and the program that a Space needs, in one go."""
    contents = {"app.py": PROGRAM, **{path: text.encode() for path, text in files.items()}}
    hub.api("ann").create_commit(
        name,
        [CommitOperationAdd(path, content) for path, content in contents.items()],
        commit_message="Files",
        repo_type="space",
    )


def wait_for(hub: HubServer, name: str, *stages: str, seconds: float = PATIENCE) -> SpaceRuntime:
    """Wait until a Space is in one of these stages, RUNNING if none is named."""
    deadline = time.monotonic() + seconds
    while True:
        runtime = hub.api("ann").get_space_runtime(name)
        if runtime.stage in (stages or ("RUNNING",)):
            return runtime
        assert time.monotonic() < deadline, f"{name} is {runtime.raw}"
        time.sleep(0.05)


def visit(
    hub: HubServer,
    name: str,
    path: str = "/",
    *,
    method: str = "GET",
    user: str | None = "ann",
    **request: Any,
) -> httpx2.Response:
    """Ask a Space's own address as a program of a user's would."""
    headers = {**request.pop("headers", {}), "Host": host(hub, name)}
    if user:
        headers.setdefault("Authorization", f"Bearer {hub.tokens[user]}")
    return httpx2.request(
        method, f"{hub.endpoint}{path}", headers=headers, timeout=PATIENCE, **request
    )


def host(hub: HubServer, name: str) -> str:
    """Return a Space's own host and port."""
    return f"{name.replace('/', '-')}.localhost:{hub.port}"


def bill(hub: HubServer, name: str) -> dict[str, Any]:
    """Return the bill of a Space or Job."""
    return next(one for one in hub.admin("GET", "bills") if one["name"] == name)


def alive(pid: int) -> bool:
    """Return whether a process runs."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def gone(pids: list[int], seconds: float = PATIENCE) -> bool:
    """Return whether all processes end within some time."""
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))
