"""The computer in the shed: an example of a backend, whole in one file.

Copied to `backends/shed.py` it is found by its name: `--backend shed` works, and its option is a
flag. So that it can be tried anywhere, the shed is a folder of this machine and its computer a
process; `RunFolder` stands where a real backend calls its provider's own library.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from backends.base import Backend, Flavor, OnProgress, Status, silent, spec_in
from backends.errors import BackendError, JobGone, LaunchFailed
from backends.handle import Handle
from backends.local.run import RunFolder
from worker import contract
from worker.contract import JOB_FILE, JobSpec
from worker.environment import environment
from worker.params import Params

SOURCES = Path(contract.__file__).parents[2]
"""Where `worker` lies: the one thing that a machine needs of hubtrain."""

KEY_FILE = "page.key"
"""What opens the job's page: whoever has no key may not look, and without one nobody may."""


class ShedOptions(Params):
    """The shed."""

    shed_nice: Annotated[int, Ge(0), Le(19)] = 0
    """How much a job gives way to other programs."""


@dataclass(frozen=True, slots=True, repr=False)
class ShedRequest:
    """What `launch` will do, as a value: no secret is in it."""

    job: JobSpec
    command: tuple[str, ...]

    @property
    def folder(self) -> RunFolder:
        return RunFolder.of(self.job.job_id)

    def __repr__(self) -> str:
        return f"In the shed: {' '.join(self.command)}"

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return {"command": list(self.command), "job": self.job.model_dump(mode="json")}


class Shed(Backend[ShedRequest]):
    """One process of the shed's computer for each job."""

    name = "shed"
    noun = "Shed"
    sees_my_files = True
    keeps_disk = True
    bills = False
    on_hub = False
    options = ShedOptions

    def flavors(self) -> list[Flavor]:
        """Return the one computer there is, which costs nothing."""
        cpus = float(os.cpu_count() or 1)
        return [Flavor(self.name, "the computer in the shed", 0.0, memory_bytes=16e9, cpus=cpus)]

    def plan(self, job: JobSpec) -> ShedRequest:
        """Return the process that runs `job`."""
        nice = str(self.options_of(job).shed_nice)
        return ShedRequest(job, ("nice", "-n", nice, sys.executable, "-P", "-m", "worker"))

    def launch(
        self, request: ShedRequest, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        """Start the process, unless this job has been started: of two launches, one does."""
        folder = request.folder
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        on_progress("opening the shed", None)
        for _ in range(100):
            if folder.started:
                return Handle(self.name, request.job.job_id)
            if (lock := folder.hold()) is not None:
                with os.fdopen(lock):
                    if not folder.started:
                        self._start(request, secrets, lock)
            else:
                self.clock.sleep(0.05)
        raise BackendError("Another launch of this job is busy.", fix="Type the command again.")

    def _start(self, request: ShedRequest, secrets: Mapping[str, str], lock: int) -> None:
        request.folder.write(JOB_FILE, request.job.model_dump_json())
        key = "".join(self.clock.new_id() for _ in range(4))
        request.folder.write(KEY_FILE, key)
        page = {"HUBTRAIN_PAGE_KEY": key}
        environ = {**environment(os.environ), **secrets, **page, "PYTHONPATH": str(SOURCES)}
        try:
            request.folder.start(request.command, environ, lock)
        except OSError as error:
            request.folder.delete()
            raise LaunchFailed(f"The shed's computer does not start it: {error}.") from error

    def find(self, request: ShedRequest) -> Handle | None:
        """Return the handle if the process was ever started."""
        return Handle(self.name, request.job.job_id) if request.folder.started else None

    def status(self, handle: Handle) -> Status:
        """Say whether the process lives."""
        alive = _there(handle).alive
        return Status(alive=alive, costing=False, stage="running" if alive else "over")

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield what the process has written."""
        with suppress(FileNotFoundError, JobGone):
            folder = _there(handle)
            lines = folder.new_lines(self.clock) if follow else folder.lines()
            yield from (line.rstrip("\n") for line in islice(lines, skip, None))

    def page(self, handle: Handle, url: str) -> str | None:
        """Add the key, which only this user can read; no address without one."""
        with suppress(OSError, JobGone):
            return f"{url}?key={(_there(handle).path / KEY_FILE).read_text()}"
        return None

    def cancel(self, handle: Handle) -> None:
        """Ask the process to end."""
        with suppress(JobGone):
            _there(handle).end()

    def remove(self, handle: Handle) -> None:
        """End the process at once and delete its folder."""
        with suppress(JobGone):
            folder = _there(handle)
            while folder.alive:
                folder.end(at_once=True)
                self.clock.sleep(0.05)
            folder.delete()

    def recall(self, handle: Handle) -> JobSpec:
        """Read the job from its folder."""
        try:
            return spec_in((_there(handle).path / JOB_FILE).read_bytes(), str(handle))
        except FileNotFoundError as error:
            raise JobGone(f"{handle} has no {JOB_FILE}.") from error


def _there(handle: Handle) -> RunFolder:
    folder = RunFolder.of(handle.path)
    if not folder.started:
        raise JobGone(f"The shed has no job {handle.path}.")
    return folder


BACKEND = Shed
