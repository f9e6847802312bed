"""This machine: the worker as a process of its own, which survives whoever started it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import ClassVar

from backends.base import Backend, Flavor, OnProgress, Status, silent, spec_in
from backends.errors import BackendError, JobGone, LaunchFailed
from backends.handle import Handle
from backends.local.machine import this_machine
from backends.local.request import LocalRequest
from backends.local.run import PAGE_KEY, RunFolder
from backends.packages import installed, refuse_lacking
from worker import contract
from worker.contract import JOB_FILE, JobSpec
from worker.environment import environment
from worker.home import home, make_private

_SOURCES = Path(contract.__file__).parents[2]
"""Where `worker` is imported from, which the worker's own process has to know too."""


class Local(Backend[LocalRequest]):
    """Detached processes of this user, on this machine."""

    name = "local"
    aliases: ClassVar[tuple[str, ...]] = ("local-cli", "local-ui")
    sees_my_files = True
    keeps_disk = True
    bills = False
    on_hub = False

    def flavors(self) -> list[Flavor]:
        """Return this machine, which costs nothing."""
        return [this_machine()]

    def require(self, extras: tuple[str, ...]) -> None:
        """Refuse while a package is not installed here."""
        refuse_lacking(extras, "or rent with --backend spaces-…")

    def versions(self, names: Iterable[str], accelerators: int) -> Mapping[str, str]:
        """Return those of this machine."""
        return installed(names)

    def plan(self, job: JobSpec) -> LocalRequest:
        """Return the process that runs `job`. Refuses while its libraries are not installed."""
        self.require(job.extras or (job.task,))
        return LocalRequest(RunFolder.of(job.job_id), (sys.executable, "-P", "-m", "worker"), job)

    def launch(
        self, request: LocalRequest, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        """Start the process, unless this job has been started before."""
        folder = request.folder
        make_private(home())
        folder.path.mkdir(parents=True, exist_ok=True)
        for _ in range(100):  # a second launch waits here until the first has let the worker go
            if folder.started:
                break
            lock = folder.hold()
            if lock is not None:
                with os.fdopen(lock):
                    self._start(request, secrets, lock)
                break
            self.clock.sleep(0.05)
        else:
            raise BackendError(
                f"Another launch of this job is busy in {folder.path}.",
                fix="Run the same command again; nothing is done twice.",
            )
        return Handle(self.name, request.job.job_id)

    def _start(self, request: LocalRequest, secrets: Mapping[str, str], lock: int) -> None:
        folder = request.folder
        if folder.started:  # by the launch that had the lock before us
            return
        folder.write(JOB_FILE, request.job.model_dump_json(indent=2))
        key = folder.made_key(self.clock)
        path = os.pathsep.join(filter(None, (str(_SOURCES), os.environ.get("PYTHONPATH"))))
        needed = environment(os.environ, str(request.job.params.get("log") or "none"))
        ours = {PAGE_KEY: key, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}  # as `lines` reads
        environ = {**needed, **secrets, **ours}
        try:
            folder.start(request.command, environ, lock)
        except OSError as error:
            folder.delete()
            raise LaunchFailed(f"The worker could not be started: {error}.") from error

    def find(self, request: LocalRequest) -> Handle | None:
        """Return the handle if the process was ever started."""
        return Handle(self.name, request.job.job_id) if request.folder.started else None

    def status(self, handle: Handle) -> Status:
        """Say whether the process lives."""
        alive = _existing(handle).alive
        return Status(alive=alive, costing=False, stage="running" if alive else "exited")

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield the process's standard output and error."""
        with suppress(FileNotFoundError, JobGone):
            folder = _existing(handle)
            lines = folder.new_lines(self.clock) if follow else folder.lines()
            yield from (line.rstrip("\r\n") for line in islice(lines, skip, None))

    def page(self, handle: Handle, url: str) -> str | None:
        """Add the job's own key, which only this user can read; no address without one."""
        with suppress(JobGone):
            return _existing(handle).opened(url)
        return None

    def recall(self, handle: Handle) -> JobSpec:
        """Read the job from its folder."""
        file = _existing(handle).path / JOB_FILE
        try:
            return spec_in(file.read_bytes(), str(handle))
        except FileNotFoundError as error:
            raise JobGone(f"{file} is not there.") from error

    def cancel(self, handle: Handle) -> None:
        """Ask the process to end; it stops its trainer itself."""
        with suppress(JobGone):
            _existing(handle).end()

    def remove(self, handle: Handle) -> None:
        """End the process at once and delete its folder; a model kept elsewhere stays."""
        with suppress(JobGone):
            folder = _existing(handle)
            for _ in range(100):
                if not folder.alive:
                    folder.delete()
                    return
                folder.end(at_once=True)
                self.clock.sleep(0.05)
            raise BackendError(f"The worker in {folder.path} does not end; it has its lock still.")


def _existing(handle: Handle) -> RunFolder:
    folder = RunFolder.of(handle.path)
    if not folder.started:
        raise JobGone(f"This machine has no job {handle.path}: {folder.path} is not there.")
    return folder


BACKEND = Local
