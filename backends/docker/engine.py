"""The Docker engines there are: the one that `docker` itself would talk to, and that of a job.

`DOCKER_HOST` or the chosen context says where an engine is, as for every client of Docker. What
names it in a handle is its place: a context's name or an address, and nothing for the usual one of
this machine. An engine at `ssh://…` is reached by OpenSSH, with its settings and agent.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.docker.tunnel import SSH, tunnel
from backends.errors import BackendError, PlanRefused
from worker.errors import HubUnreachable, NotThere
from worker.installing import install

USUAL = (
    "npipe:////./pipe/docker_engine" if sys.platform == "win32" else "unix:///var/run/docker.sock"
)
_OF_THIS_MACHINE = ("unix:", "npipe:")


def place() -> str:
    """Return the place of the engine that `docker` would talk to: empty, `big`, `ssh://ann@big`."""
    if told := os.environ.get("DOCKER_HOST"):
        told = told if "://" in told else f"tcp://{told}"  # as `docker` reads it
        return "" if told == USUAL else told
    chosen = os.environ.get("DOCKER_CONTEXT") or _chosen_context()
    return "" if chosen == "default" else chosen


def _chosen_context() -> str:
    """Return the context that `docker context use` has chosen; empty for none."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    with suppress(OSError, ValueError, AttributeError):
        settings = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
        return str(settings.get("currentContext") or "")
    return ""


def has_usual() -> bool:
    """Whether this machine may have an engine: a socket for it, and the package that speaks to it.

    Where that cannot be seen (Windows), it may.
    """
    here = not USUAL.startswith("unix://") or Path(USUAL.removeprefix("unix://")).exists()
    return here and find_spec("docker") is not None


def address(place: str) -> str:
    """Return where an engine is: `unix:///var/run/docker.sock`, `tcp://10.0.0.7:2376`."""
    if "://" in place or not place:
        return place or USUAL
    return str(_context(place).get("base_url") or USUAL)


def shares_disk(place: str) -> bool:
    """Whether an engine's containers can have folders of this machine, by the same names."""
    with suppress(PlanRefused):
        return address(place).startswith(_OF_THIS_MACHINE) and sys.platform != "win32"
    return False


@contextmanager
def engine(place: str) -> Iterator[Any]:
    """Yield a `docker.DockerClient`. Raises `HubUnreachable` where no engine answers."""
    docker = _package()
    where = address(place)
    way = tunnel(where) if where.startswith(SSH) else nullcontext(where)
    with way as url:
        try:
            _knock(url)
            client = docker.DockerClient(base_url=url, tls=_certificates(place))
        except (docker.errors.DockerException, OSError) as error:
            raise HubUnreachable(
                f"No Docker engine answers at {where}: {_why(error)}.", fix=_way_in(error)
            ) from error
        with closing(client):
            yield client


def _knock(url: str) -> None:
    """Raise an `OSError` where nobody listens: the package would leave its socket open then."""
    if sys.platform != "win32" and url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(url.removeprefix("unix://"))


def needed() -> str:
    """Return what to type where the package `docker` is missing."""
    return install(["docker"])


def _package() -> Any:
    try:
        import docker
    except ImportError as error:
        raise PlanRefused("Docker is spoken to by a package of its own.", fix=needed()) from error
    return docker


def _context(name: str) -> dict[str, Any]:
    """Return the address and certificates of a context. Raises `PlanRefused` for one unknown."""
    _package()
    from docker.context import ContextAPI

    if ContextAPI.get_context(name) is None:
        raise PlanRefused(f"Docker has no context {name!r}.", fix="docker context ls")
    return dict(ContextAPI.kwargs_from_context(name))


def _certificates(place: str) -> Any:
    """Return a context's certificates, or those of `DOCKER_CERT_PATH` for a plain address."""
    if place and "://" not in place:
        return _context(place).get("tls")
    from docker.utils import kwargs_from_env

    return kwargs_from_env().get("tls") if place.startswith("tcp:") else None


def _why(error: BaseException) -> str:
    """Return what is behind an error of the package: the engine's own words, or the system's."""
    behind: BaseException | None = error
    said = str(error)
    while behind is not None:
        if words := getattr(behind, "explanation", None) or getattr(behind, "strerror", None):
            said = str(words)
        behind = behind.__cause__ or behind.__context__
    return said.removesuffix(".")


def _way_in(error: Exception) -> str:
    """Return what to do about an engine that does not answer."""
    said = str(error)
    if "Permission denied" in said:
        return "Your user may not talk to it: sudo usermod -aG docker $USER, then log in anew."
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            "Name the folder of its ca.pem as DOCKER_CERT_PATH; where REQUESTS_CA_BUNDLE or "
            "CURL_CA_BUNDLE are set, they count instead: unset them."
        )
    if "HTTPS" in said or "TLS" in said:
        return "It takes certificates: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, their folder."
    return "Start it (Docker Desktop, or sudo systemctl start docker), or set DOCKER_HOST."


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Say in words what the engine answers to `doing`: `removing the container`.

    Raises `NotThere`, `HubUnreachable` where it does not answer, `BackendError` where it refuses.
    """
    from docker.errors import APIError, DockerException, NotFound
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError  # of streams that end too early

    try:
        yield
    except NotFound as error:
        raise NotThere(f"{doing}: {error.explanation}") from error
    except APIError as error:
        raise BackendError(f"The Docker engine refused {doing}: {error.explanation}") from error
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise HubUnreachable(
            f"{doing}: the Docker engine does not answer ({_why(error)})."
        ) from error
