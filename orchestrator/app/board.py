"""What the app knows of all jobs: read again when it has changed, asked about while one looks.

The records' file is read only where it is another one than before. Providers are asked in a thread
of its own, about jobs that are not settled, at growing intervals while nothing changes, and only
while a page is open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.peek import losses, version
from orchestrator.jobs.spending import Month, budget, month
from worker.errors import HubtrainError
from worker.home import home

if TYPE_CHECKING:
    from orchestrator.deploy.known import Known
    from orchestrator.jobs.records import Record

ASK_SECONDS, ASK_SECONDS_MOST = 3.0, 30.0
"""Wait between two rounds of questions to providers; it grows while nothing changes."""

LOOK_SECONDS = 10.0
"""How long it is taken for true that somebody looks, from when a page was last asked for."""

NOTE_SECONDS = 120.0
"""How long it is told what became of something that was asked for."""

SPARKS = 512
"""Loss curves that are kept."""

RECORDS = 8
"""Jobs that are kept with all their events, beside the one asked for."""


@dataclass(frozen=True, slots=True)
class Note:
    """What became of something that a user asked for."""

    at: float
    text: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """All jobs at one moment."""

    jobs: tuple[Glance, ...]
    deployed: tuple[Known, ...]
    month: Month
    budget: float | None
    notes: tuple[Note, ...]
    unanswered: tuple[str, ...]
    now: datetime


@dataclass
class Board:
    """All jobs of one user. Used from several threads."""

    client: Client
    _jobs: tuple[Glance, ...] = ()
    _print: Hashable = None
    _deployed: tuple[Known, ...] = ()
    _notes: list[Note] = field(default_factory=list)
    _unanswered: dict[str, str] = field(default_factory=dict)
    _looked: float = 0.0
    _asking: threading.Thread | None = None
    _records: dict[str, tuple[Hashable, Record]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def version(self) -> Hashable:
        """Return what is another value once there is something else to show; cheap."""
        self.look()
        now = self.client.clock.now().timestamp()
        goes_on = any(not job.settled for job in self._jobs)
        moment = now // (10 if goes_on else 60)
        return _files(), moment, self._deployed, self.notes(), tuple(self._unanswered.items())

    def jobs(self) -> tuple[Glance, ...]:
        """Return every job, newest first; the file is read where it has changed."""
        with self._lock:
            if (found := _files()) != self._print or found is None:
                self._jobs, self._print = tuple(self.client.glances()), _files()
            return self._jobs

    def seen(self) -> Seen:
        """Return all there is to show now."""
        jobs, now = self.jobs(), self.client.clock.now()
        try:
            most = budget()
        except HubtrainError:  # told where it matters: before money is spent
            most = None
        reasons = tuple(dict.fromkeys(self._unanswered.values()))
        return Seen(jobs, self._deployed, month(jobs, now), most, self.notes(), reasons, now)

    def record(self, job_id: str) -> Record:
        """Return a job, read again where it has another event. Raises `BadConfig` for none."""
        now = version(home(), job_id)
        with self._lock:
            known = self._records.get(job_id)
        if known is None or known[0] != now:
            known = (now, self.client.records.get(job_id))
            with self._lock:
                self._records = {**dict(list(self._records.items())[-RECORDS:]), job_id: known}
        return replace(known[1], unanswered=self._unanswered.get(job_id, ""))

    def look(self) -> None:
        """Note that somebody looks, and ask the providers from now on."""
        self._looked = time.monotonic()
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask_on, name="app-asks", daemon=True)
                self._asking.start()

    def notes(self) -> tuple[Note, ...]:
        """Return what is to be told of things asked for, newest first."""
        now = time.monotonic()
        self._notes = [note for note in self._notes if now - note.at < NOTE_SECONDS]
        return tuple(reversed(self._notes))

    def do(self, doing: str, what: Callable[[], str]) -> None:
        """Do something that may take minutes in a thread; what it returns is told, and what fails.

        `doing` is told meanwhile.
        """
        note = Note(time.monotonic(), doing)
        self._notes.append(note)

        def run() -> None:
            try:
                told = Note(time.monotonic(), what())
            except HubtrainError as error:
                told = Note(time.monotonic(), str(error), wrong=True)
            self._notes = [*(one for one in self._notes if one is not note), told]

        threading.Thread(target=run, name="app-errand", daemon=True).start()

    def _ask_on(self) -> None:
        """Ask the providers for as long as somebody looks."""
        wait = ASK_SECONDS
        while time.monotonic() - self._looked < LOOK_SECONDS:
            try:
                changed = self._ask()
            except HubtrainError as error:
                self._unanswered, changed = {"": error.message}, False
            wait = ASK_SECONDS if changed else min(wait * 1.3, ASK_SECONDS_MOST)
            until = time.monotonic() + wait
            while time.monotonic() < until and time.monotonic() - self._looked < LOOK_SECONDS:
                time.sleep(0.5)

    def _ask(self) -> bool:
        """Ask once about all that is not settled; whether anything is other than it was."""
        before = [job for job in self.jobs() if not job.settled]
        now = self.client.asked(before)
        self._unanswered = {job.job_id: job.unanswered for job in now if job.unanswered}
        if self.client.has_deployed:
            from orchestrator.deploy.known import known_deployments

            self._deployed = tuple(known_deployments(self.client))
        return [_telling(job) for job in now] != [_telling(job) for job in before]


def _telling(job: Glance) -> tuple[object, ...]:
    return job.state, job.step, job.value, job.costing, job.handle


def curve(job: Glance) -> tuple[tuple[float, float], ...]:
    """Return step and loss of a job, read again once it is further."""
    return _curve(job.job_id, job.step, job.state)


@lru_cache(SPARKS)
def _curve(job_id: str, _step: int | None, _state: str) -> tuple[tuple[float, float], ...]:
    return tuple(losses(home(), job_id))


def _files() -> Hashable:
    """Return what tells apart two states of the file of records; none where there is no file."""
    path = home() / "jobs.sqlite"
    found = []
    for one in (path, path.with_name(f"{path.name}-wal")):
        try:
            stat = one.stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append((0, 0))
    return tuple(found) if found[0] != (0, 0) else None
