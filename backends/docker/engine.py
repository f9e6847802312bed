"""The Docker engine that `docker` itself would talk to, and its errors in words.

`DOCKER_HOST` or the chosen context says where it is, as for every client of Docker.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from backends.errors import BackendError, PlanRefused
from worker.errors import HubUnreachable, NotThere
from worker.installing import install

_DEFAULT = "unix:///var/run/docker.sock"
_HERE = ("unix:", "npipe:")


def address() -> str:
    """Return where the engine is: `unix:///var/run/docker.sock`, `ssh://ann@big`."""
    if told := os.environ.get("DOCKER_HOST"):
        return told
    chosen = os.environ.get("DOCKER_CONTEXT") or _configured()
    if chosen in {"", "default"}:
        return _DEFAULT
    with suppress(ImportError):
        from docker.context import ContextAPI

        if context := ContextAPI.get_context(chosen):
            return str(context.Host or _DEFAULT)
    return _DEFAULT


def _configured() -> str:
    """Return the context that `docker context use` has chosen; empty for none."""
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    with suppress(OSError, ValueError, AttributeError):
        settings = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
        return str(settings.get("currentContext") or "")
    return ""


def shares_disk() -> bool:
    """Whether the engine's containers can have folders of this machine, by the same names."""
    return address().startswith(_HERE) and sys.platform != "win32"


@contextmanager
def engine() -> Iterator[Any]:
    """Yield a `docker.DockerClient`. Raises `HubUnreachable` where no engine answers."""
    try:
        import docker
    except ImportError as error:
        raise PlanRefused("Docker is spoken to by a package of its own.", fix=needed()) from error
    with asking("asking for it"):
        client = docker.from_env()
    with closing(client):
        yield client


def needed() -> str:
    """Return what to type where the package `docker` is missing."""
    return install(["docker"])


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Say in words what the engine answers to `doing`: `removing the container`.

    Raises `NotThere`, `HubUnreachable` where it does not answer, `BackendError` where it refuses.
    """
    from docker.errors import APIError, DockerException, NotFound
    from requests.exceptions import RequestException

    try:
        yield
    except NotFound as error:
        raise NotThere(f"{doing}: {error.explanation}") from error
    except APIError as error:
        raise BackendError(f"The Docker engine refused {doing}: {error.explanation}") from error
    except (DockerException, RequestException, OSError) as error:
        raise HubUnreachable(f"No Docker engine answers at {address()}.", fix=_way_in(error)) from (
            error
        )


def _way_in(error: Exception) -> str:
    """Return what to do about an engine that does not answer."""
    if "Permission denied" in str(error):
        return "Your user may not talk to it: sudo usermod -aG docker $USER, then log in anew."
    return "Start it (Docker Desktop, or sudo systemctl start docker), or set DOCKER_HOST."
