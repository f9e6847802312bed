"""A Docker engine, of this machine or elsewhere: a container per job.

An engine of this machine sees its folders: data and model stay here, as with `local`, and what
trains is kept apart from everything else. An engine elsewhere (`DOCKER_HOST`, a context) gets its
data from the Hub and pushes the model there.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from backends.base import Backend, Flavor, OnProgress, Status, silent, spec_in
from backends.docker import image
from backends.docker.engine import address, asking, engine, has_usual, place, shares_disk
from backends.docker.launch import Launch, container, handed, lines_of, remove
from backends.docker.options import DockerOptions
from backends.docker.request import APP, NAME, ContainerRequest, plan
from backends.errors import BackendError, JobGone, PlanRefused
from backends.handle import Handle
from backends.image_keeping import KeepsImages, KeptImage
from backends.local.machine import this_machine
from backends.local.run import RunFolder
from worker.clock import Clock
from worker.contract import JOB_FILE, EndReason, JobSpec

_KILLED = 128 + 9
"""Exit code of a container whose worker was killed."""


class Docker(Backend[ContainerRequest], KeepsImages):
    """Containers of one engine, found again by their names."""

    name = "docker"
    noun = "Container"
    bills = False
    builds_image = True
    on_hub = False
    options = DockerOptions

    def __init__(self, token: str | None = None, clock: Clock | None = None) -> None:
        super().__init__(token, clock)
        self.place = place()
        self.sees_my_files = self.keeps_disk = shares_disk(self.place)

    def flavors(self) -> list[Flavor]:
        """Return the engine's machine, and with its GPUs where it hands out any."""
        with engine(self.place) as there, asking("asking for its machine"):
            info = there.info()
        cpu = Flavor(
            name="cpu",
            description=f"the machine of {info.get('Name', 'the engine')}",
            usd_per_hour=0.0,
            memory_bytes=float(info["MemTotal"]),
            cpus=float(info["NCPU"]),
        )
        here = this_machine()
        if not (self.sees_my_files and here.accelerators and "nvidia" in info.get("Runtimes", {})):
            return [cpu]
        gpu = replace(
            cpu,
            name="gpu",
            accelerator=here.accelerator,
            accelerators=here.accelerators,
            vram_bytes=here.vram_bytes,
        )
        return [cpu, gpu]

    def given(self, flavor: Flavor, options: Any) -> Flavor:
        """Count no more memory and cores than the container may use."""
        memory = min(flavor.memory_bytes, options.memory_bytes or flavor.memory_bytes)
        cores = min(flavor.cpus, options.docker_cpus or flavor.cpus)
        setting = "--docker-memory" if memory < flavor.memory_bytes else ""
        return replace(flavor, memory_bytes=memory, cpus=cores, memory_setting=setting)

    def unknown(self, flavor: str, offered: Sequence[Flavor]) -> BackendError:
        """Say of GPUs why there are none."""
        if flavor != "gpu":
            return super().unknown(flavor, offered)
        if not self.sees_my_files:
            return PlanRefused(
                f"What GPUs the engine at {address(self.place)} has cannot be asked from here."
            )
        return PlanRefused(
            "This Docker engine gives no GPU to its containers.",
            fix="Install the NVIDIA Container Toolkit, or --backend docker-cpu",
        )

    def plan(self, job: JobSpec) -> ContainerRequest:
        """Return the container that runs `job`."""
        return plan(job, self.place)

    def launch(
        self,
        request: ContainerRequest,
        secrets: Mapping[str, str],
        on_progress: OnProgress = silent,
    ) -> Handle:
        """Build the image, create the container, start it, and hand it its secrets."""
        with engine(request.place) as there:
            Launch(there, request, secrets, self.clock, on_progress).run()
        return Handle(self.name, request.found_at)

    def find(self, request: ContainerRequest) -> Handle | None:
        """Return the container of a complete launch."""
        with engine(request.place) as there:
            found = container(there, request.name)
        return Handle(self.name, request.found_at) if found and handed(found) else None

    def status(self, handle: Handle) -> Status:
        """Inspect the container."""
        with _existing(handle) as there:
            state = there.attrs["State"]
        alive = state["Status"] not in {"exited", "dead", "removing"}
        # It is also told of one that ended well, of whose processes one was killed for its memory.
        out_of_memory = not alive and state.get("OOMKilled") and state["ExitCode"] == _KILLED
        return Status(
            alive=alive,
            costing=False,
            stage=state["Status"],
            detail="The container ran out of memory." if out_of_memory else state["Error"],
            reason=EndReason.OOM if out_of_memory else None,
        )

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield what the container writes; following survives a dropped stream."""
        with suppress(JobGone), _existing(handle) as there:
            while True:
                for line in _lines(there, skip, follow=follow):
                    skip += 1
                    yield line
                with asking(f"asking about {handle}"):
                    there.reload()
                if not follow or there.attrs["State"]["Status"] != "running":
                    return

    def recall(self, handle: Handle) -> JobSpec:
        """Read the job in its container."""
        with _existing(handle) as there, asking(f"reading the job of {handle}"):
            parts, _ = there.get_archive(str(APP / JOB_FILE))
            packed = io.BytesIO(b"".join(parts))
        with tarfile.open(fileobj=packed) as archive:
            file = archive.extractfile(JOB_FILE)
            return spec_in(file.read() if file else b"", str(handle))

    def page(self, handle: Handle, url: str) -> str | None:
        """Add the job's own key; no address where the page is on another machine."""
        with suppress(JobGone):
            return _folder(handle).opened(url)
        return None

    def cancel(self, handle: Handle) -> None:
        """Ask the worker to end; it stops its trainer itself."""
        from docker.errors import APIError

        with (
            suppress(JobGone),
            _existing(handle) as there,
            asking(f"stopping {handle}"),
            suppress(APIError),  # it does not run
        ):
            there.kill("SIGTERM")

    def remove(self, handle: Handle) -> None:
        """Remove the container with what it wrote; images stay, for the next job of their kind."""
        with suppress(JobGone), _existing(handle) as there:
            remove(there)
        with suppress(JobGone):
            _folder(handle).delete()

    def images(self, owners: Iterable[str]) -> list[KeptImage]:
        """Return those of the engine; none where this machine has no engine, nor names another."""
        if not self.place and not has_usual():
            return []
        with engine(self.place) as there:
            return image.images(there)

    def remove_image(self, name: str) -> None:
        """Remove it from the engine."""
        with engine(self.place) as there:
            image.remove(there, name)


def _lines(there: Any, skip: int, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a container's log after the first `skip`."""
    with asking(f"reading the log of {there.name}"):
        if not follow:
            yield from islice(lines_of([there.logs()]), skip, None)
            return
        with closing(there.logs(stream=True, follow=True)) as chunks:
            yield from islice(lines_of(chunks), skip, None)


def _folder(handle: Handle) -> RunFolder:
    return RunFolder.of(handle.path.rpartition("/")[2].removeprefix(NAME))


@contextmanager
def _existing(handle: Handle) -> Iterator[Any]:
    """Yield a job's container. Raises `JobGone` where there is none."""
    where, _, name = handle.path.rpartition("/")
    with engine(where) as there:
        found = container(there, name)
        if found is None:
            raise JobGone(f"The Docker engine at {address(where)} has no container {name}.")
        yield found


BACKEND = Docker
