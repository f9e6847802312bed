"""Makes a job's container, whole or not at all, however often it is asked to."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from backends.base import OnProgress
from backends.docker.engine import asking
from backends.docker.image import build, tar
from backends.docker.request import APP, COMMAND, LABEL, ContainerRequest, models
from backends.errors import BackendError, LaunchFailed
from backends.local.run import PAGE_KEY, RunFolder
from worker.clock import Clock
from worker.contract import JOB_FILE, NO_SECRETS_RECEIVED
from worker.errors import HubtrainError, NotThere
from worker.home import home, make_private
from worker.hubclient import hub_variables
from worker.ports import free_port

SHARED_MEMORY = 2**30
"""Bytes of `/dev/shm`, by which processes of one training hand tensors to each other."""

MOST_PROCESSES = 4096
WAIT_SECONDS = 1800
"""How long a launch waits for another of the same job, which may be building its image."""

MOST_BUILDS = 3
"""How often one launch builds an image that somebody removed."""

TAKEN_SECONDS = 20
"""How long an engine may take to read a few lines."""

HOST_NETWORK = "host"


class Launch:
    """One launch of a request."""

    def __init__(
        self,
        engine: Any,
        request: ContainerRequest,
        secrets: Mapping[str, str],
        clock: Clock,
        on_progress: OnProgress,
    ) -> None:
        self.engine, self.request, self.secrets = engine, request, secrets
        self.clock, self.on_progress = clock, on_progress
        self.folder = RunFolder.of(request.job.job_id)

    def run(self) -> None:
        """Do what is not done yet. Raises `LaunchFailed` when nothing of it is left."""
        make_private(home())
        self.folder.path.mkdir(parents=True, exist_ok=True)
        models().mkdir(exist_ok=True)
        until = self.clock.monotonic() + WAIT_SECONDS
        while (lock := self.folder.hold()) is None:
            if self.clock.monotonic() > until:
                raise BackendError(f"Another launch of {self.request.name} does not end.")
            self.clock.sleep(0.1)
        with closing(os.fdopen(lock)):
            self._run()

    def _run(self) -> None:
        there = container(self.engine, self.request.name)
        if there is not None and handed(there):
            return
        if there is not None:
            remove(there)
        page = self._page()
        made = self._created_in_image(page)
        try:
            self._start(made, {**self.secrets, **page})
        except BaseException as error:
            remove(made)
            if isinstance(error, HubtrainError):
                raise LaunchFailed(error.message, fix=error.fix, reason=error.reason) from error
            raise

    def _created_in_image(self, page: Mapping[str, str]) -> Any:
        """Create the container; an image that somebody removes meanwhile is built again."""
        for left in reversed(range(MOST_BUILDS)):
            build(self.engine, self.request, self.on_progress)
            try:
                return self._created(page)
            except NotThere:
                if not left:
                    raise
        raise AssertionError

    def _created(self, page: Mapping[str, str]) -> Any:
        from docker.types import DeviceRequest, Mount

        request = self.request
        self.on_progress(f"creating the container {request.name}", None)
        mounts = [
            Mount(f.path, f.path, type="bind", read_only=not f.writable)
            for f in request.folders
            if Path(f.path).exists()
        ]
        gpus = [DeviceRequest(count=-1, capabilities=[["gpu"]])] if request.gpus else []
        with asking(f"creating the container {request.name}"):
            return self.engine.containers.create(
                request.image,
                list(COMMAND),
                name=request.name,
                labels={LABEL: request.job.job_id},
                environment=dict(self._environment()),
                mounts=mounts,
                device_requests=gpus,
                network=request.options.docker_network,
                stdin_open=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                ports=self._ports(page),
                **self._limits(),
                **self._as_us(),
            )

    def _limits(self) -> dict[str, Any]:
        options = self.request.options
        return {
            "mem_limit": options.memory_bytes,
            "memswap_limit": options.memory_bytes,  # of both together: it may not swap
            "nano_cpus": int(options.docker_cpus * 1e9) if options.docker_cpus else None,
            "pids_limit": MOST_PROCESSES,
            "shm_size": SHARED_MEMORY,
        }

    def _environment(self) -> Iterator[tuple[str, str]]:
        options = self.request.options
        yield from (("HOME", "/tmp"), ("PYTHONUSERBASE", "/home/user/.local"), ("USER", "user"))
        yield from hub_variables().items()
        if self.request.work:
            yield "HUBTRAIN_WORK", self.request.work
            yield "HF_HUB_CACHE", str(models())
        if options.docker_cpus:  # inside, all cores of the machine are seen
            cores = str(max(1, int(options.docker_cpus)))
            yield from (("CPU_CORES", cores), ("OMP_NUM_THREADS", cores))

    def _as_us(self) -> dict[str, Any]:
        """Return whose the container is, on an engine of this machine: what it writes is ours."""
        if not self.request.work:
            return {}
        us = self.folder.path.stat()
        return {"user": f"{us.st_uid}:{us.st_gid}"}

    def _page(self) -> dict[str, str]:
        """Return what the worker is handed for its page, if this machine can look at it."""
        if not self.request.work:
            return {}
        near = self.request.options.docker_network == HOST_NETWORK
        return {
            PAGE_KEY: self.folder.made_key(self.clock),
            "GRADIO_SERVER_PORT": str(free_port()),
            "GRADIO_SERVER_NAME": "127.0.0.1" if near else "0.0.0.0",
        }

    def _ports(self, page: Mapping[str, str]) -> dict[str, Any]:
        """Return what leads from this machine to a page in a network of the engine's."""
        if not page or self.request.options.docker_network == HOST_NETWORK:
            return {}
        port = page["GRADIO_SERVER_PORT"]  # the same on both sides: the worker tells the address
        return {f"{port}/tcp": ("127.0.0.1", int(port))}

    def _start(self, made: Any, handed: Mapping[str, str]) -> None:
        self.on_progress("starting it", None)
        job = self.request.job.model_dump_json(indent=2).encode()
        with asking(f"starting the container {self.request.name}"):
            made.put_archive(str(APP), tar({JOB_FILE: job}).getvalue())
            stream = made.attach_socket(params={"stdin": 1, "stream": 1})
            with closing(stream), closing(getattr(stream, "_sock", stream)) as end:
                made.start()
                end.sendall((json.dumps(handed) + "\n").encode())
                _wait_until_taken(end)


def _wait_until_taken(end: Any) -> None:
    """Return once the engine has what was sent to it: what is on its way is lost with a tunnel."""
    with suppress(OSError, RuntimeError):  # pipes of Windows close both ways at once
        end.settimeout(TAKEN_SECONDS)
        end.shutdown(socket.SHUT_WR)
        while end.recv(1024):  # it has nothing to say but its end
            pass


def container(engine: Any, name: str) -> Any | None:
    """Return the container of this name; none where there is none."""
    try:
        with asking(f"asking about {name}"):
            return engine.containers.get(name)
    except NotThere:
        return None


def handed(there: Any) -> bool:
    """Whether a container was started and got what it was to be handed."""
    state = there.attrs["State"]
    if state["Status"] == "created":
        return False
    return bool(state["Status"] != "exited" or state["ExitCode"] != NO_SECRETS_RECEIVED)


def remove(there: Any) -> None:
    """Remove a container, running or not; one that is gone is removed already."""
    try:
        with asking(f"removing {there.name}"):
            there.remove(force=True, v=True)
    except NotThere:
        return


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of what comes in pieces; the last may lack its end."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")
