"""Runs a Space on one machine, from its build to its end, in its own thread.

A lease records the state of its Space while it runs. When it is ended from outside, the new state
is already recorded, and it only cleans up. The `scheduler` makes and ends leases.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import shutil
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from localhub.clock import stamp
from localhub.runtime.machines import Machines
from localhub.runtime.mounts import Mount
from localhub.runtime.processes import Ending, Order, Run, free_port, lay_out, owner_only
from localhub.runtime.site import Site
from localhub.runtime.spaces.build import BuildFailure, Built
from localhub.runtime.spaces.environment import of_space
from localhub.runtime.spaces.records import Space, SpaceStage
from localhub.runtime.spaces.runner import command, listening, made
from localhub.runtime.volumes import laid_out, mounted
from localhub.storage.repos import Repo

VOLUMES = "mnt"
"""The folder of a run in which its volumes lie."""

LOOK = 0.2
"""Seconds between two looks at a Space."""

OUT_OF_MEMORY = "Memory limit exceeded"
STARTUP = "===== Application Startup at "
TOLD_LINES = 10
"""Lines of the log that a failed Space's error message repeats."""


class LeaseEnded(Exception):
    """This lease has been ended by the scheduler: its thread has to stop."""


@dataclass(frozen=True)
class _Home:
    """Where a Space will run, and what."""

    repo: Repo
    folder: Path
    sha: str
    built: Built


class Recorder(Protocol):
    """What a lease asks of the scheduler that made it; each change is decided there."""

    hub: Site
    machines: Machines

    def known(self, repo: int) -> tuple[Space, Repo]:
        """Return a Space's record and repo, or raise `LeaseEnded` if it was deleted."""

    def change(
        self, repo: int, *, lease: Lease | None = None, at: datetime | None = None, **changes: Any
    ) -> Space:
        """Set fields of a record; refused with `LeaseEnded` if the lease has ended."""

    def rest(self, repo: int, stage: SpaceStage) -> Space:
        """Stop a Space and leave it in `stage`, without a machine."""

    def visited(self, repo: int) -> None:
        """Note that somebody looked at a Space's page."""

    def unvisited_too_long(self, repo: int) -> bool:
        """Return whether a Space should fall asleep."""


class Lease:
    """One run of a Space on a machine. It starts when the lease `before` has ended."""

    def __init__(
        self, scheduler: Recorder, repo: int, *, before: Lease | None, found: Run | None = None
    ) -> None:
        self.scheduler = scheduler
        self.machines = scheduler.machines
        self.repo = repo
        self.before = before
        self.found = found
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._live, name=f"space-{repo}", daemon=True)
        self._starting = threading.Lock()

    def start(self) -> None:
        """Begin; a lease that has ended before it began never does."""
        with self._starting:
            if not self.ended.is_set():
                self.thread.start()

    def end(self) -> None:
        """Tell its thread to stop everything; it changes the Space's record no more."""
        with self._starting:
            self.ended.set()

    def _live(self) -> None:
        while self.before is not None:
            if self.before.thread.ident is not None:  # which has begun
                self.before.thread.join()
            self.before = self.before.before
        try:
            self._stay(self.found or self._move_in())
        except LeaseEnded:
            return
        except BuildFailure as failure:
            self._fail(failure.stage, str(failure))
        except Exception as error:
            logging.getLogger(__name__).exception("space %s", self.repo)
            self._fail(SpaceStage.RUNTIME_ERROR, f"The Hub could not run it: {error}")

    def _say(self, *, at: datetime | None = None, **changes: Any) -> Space:
        return self.scheduler.change(self.repo, lease=self, at=at, **changes)

    def _now(self) -> str:
        return stamp(self.scheduler.hub.clock.now())

    def _fail(self, stage: SpaceStage, error: str, at: datetime | None = None) -> None:
        try:
            self._say(at=at, stage=stage, error=error or None, run=None, current=None)
        except LeaseEnded:
            return

    def _pause(self, seconds: float) -> None:
        if self.ended.wait(seconds):
            raise LeaseEnded

    # moving in

    def _move_in(self) -> Run:
        """Build the Space and start it."""
        folder = self.machines.new_run(f"space-{self.repo}")
        try:
            return self._start(self._build(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _build(self, folder: Path) -> _Home:
        space, repo = self.scheduler.known(self.repo)
        content = self.scheduler.hub.content
        sha = content.sha(repo.id, "main")
        lay_out(folder)
        content.checkout(repo.id, sha, folder / "app")
        arguments = {name: setting.value for name, setting in space.variables.items()}
        mark = hashlib.sha256(json.dumps([sha, arguments]).encode()).hexdigest()
        log = self.machines.log(f"space-{self.repo}-build")
        make = partial(made, self.machines, folder / "app", mark, arguments, ended=self.ended)
        if space.built != mark or space.stage is SpaceStage.BUILDING:
            self._say(stage=SpaceStage.BUILDING, sha=sha)
            log.write(f"===== Build Queued at {self._now()} / Commit SHA: {sha[:7]} =====\n", "\n")
            built = make(log=log.write)
            self._pause(self.machines.conditions.build_seconds)
            log.write("--> DONE\n")
        else:
            built = make(log=lambda *_: None)
        self._say(built=mark)
        return _Home(repo, folder, sha, built)

    def _start(self, home: _Home) -> Run:
        config = home.built.config
        space = self._say(
            stage=SpaceStage.APP_STARTING,
            run=home.folder.name,
            sha=home.sha,
            sdk=config.sdk,
            app_port=config.app_port,
            port=free_port(),
            patience=config.startup_duration_timeout,
            oauth=["openid", "profile", *config.hf_oauth_scopes] if config.hf_oauth else None,
            login_minutes=config.hf_oauth_expiration_minutes,
        )
        space = self._say(current=space.flavor)
        flavor = self.machines.prices.find(space.flavor, space=True)
        assert flavor is not None
        log = self.machines.log(f"space-{self.repo}-run")
        log.write(f"{STARTUP}{self._now()} =====\n", "\n")
        places = laid_out(self.scheduler.hub, space.volumes, home.folder / VOLUMES)
        environment = of_space(
            self.scheduler.hub,
            home.repo,
            space,
            built=home.built,
            flavor=flavor,
            folder=home.folder,
        )
        argv, environment = command(
            self.machines,
            home.built,
            home.folder,
            environment,
            places=places,
            memory=flavor.memory_limit,
        )
        order = Order(
            argv=argv,
            environment=environment,
            log=owner_only(log.path),
            memory=flavor.memory_limit,
            newline="\n",
            **self.machines.patience(),
        )
        return Run.start(home.folder, order)

    # staying

    def _stay(self, run: Run) -> None:
        """Watch the run until it ends or the lease does."""
        mounts: list[Mount] = []
        try:
            space, _ = self.scheduler.known(self.repo)
            mounts = mounted(self.scheduler.hub, space.volumes, run.folder / VOLUMES)
            if space.stage is not SpaceStage.RUNNING and not self._wait_until_it_answers(
                run, space
            ):
                return
            self.scheduler.visited(self.repo)
            while not self._has_ended(run):
                self._pause(LOOK)
                for mount in mounts:
                    mount.look()
                if self.scheduler.unvisited_too_long(self.repo):
                    self.scheduler.rest(self.repo, SpaceStage.SLEEPING)
        finally:
            run.stop(self.machines.conditions.grace)
            if self.machines.containers:
                self.machines.containers.remove(run.folder.name)
            for mount in mounts:
                mount.sync()
            run.discard()

    def _wait_until_it_answers(self, run: Run, space: Space) -> bool:
        """Return whether it answers on its port; if it never does, the reason is recorded."""
        deadline = time.monotonic() + space.patience
        while time.monotonic() < deadline:
            if self._has_ended(run):
                return False
            port = listening(self.machines, run, filter(None, (space.app_port, space.port)))
            if port is not None and answers(port):
                self._say(stage=SpaceStage.RUNNING, listens=port, error=None)
                return True
            self._pause(LOOK)
        minutes = space.patience / 60
        self._fail(
            SpaceStage.RUNTIME_ERROR,
            f"Launch timed out, workload was not healthy after {minutes:g} min",
        )
        return False

    def _has_ended(self, run: Run) -> bool:
        if self.ended.is_set():
            raise LeaseEnded
        ending = run.ending()
        if ending is not None:
            self._fail(SpaceStage.RUNTIME_ERROR, self._why(run, ending), ending.at)
        return ending is not None

    def _why(self, run: Run, ending: Ending) -> str:
        reason, containers = ending.reason, self.machines.containers
        if containers and containers.ran_out_of_memory(run.folder.name):
            reason = OUT_OF_MEMORY
        if not reason:
            lines = self.machines.log(f"space-{self.repo}-run").lines(last=TOLD_LINES + 2)
            starts = [place for place, line in enumerate(lines) if line.startswith(STARTUP)]
            own = lines[starts[-1] + 2 :] if starts else lines
            reason = "".join(own[-TOLD_LINES:]).strip()
        return f"Exit code: {ending.code}. Reason: {reason}"


def answers(port: int) -> bool:
    """Return whether something on this machine answers HTTP on a port, whatever it says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/", headers={"User-Agent": "localhub-health"})
        connection.getresponse().read(1)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
