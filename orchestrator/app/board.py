"""What the app knows of all jobs: read again when it has changed, asked about while one looks.

The records' file is read only where it is another one than before. Providers are asked only while a
page is open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from orchestrator import crash
from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.peek import losses, version
from orchestrator.jobs.spending import Month, budget, month
from orchestrator.polling import Poller
from worker.errors import HubtrainError
from worker.home import RECORDS_FILE, home

if TYPE_CHECKING:
    from orchestrator.deploy.known import Known
    from orchestrator.jobs.records import Record

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
    goes_on: bool = False
    """Whether nothing has come of it yet: told however long it takes."""


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
    removed: tuple[Glance, ...] = ()
    """Jobs that have cost something and are on record no more."""


@dataclass
class Board:
    """All jobs of one user. Used from several threads."""

    client: Client
    _jobs: tuple[Glance, ...] = ()
    _spent: tuple[Glance, ...] = ()
    _print: Hashable = None
    _notes: list[Note] = field(default_factory=list)
    _records: dict[str, tuple[Hashable, Record]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def version(self) -> Hashable:
        """Return what is another value once there is something else to show; cheap."""
        self.look()
        asked, now = self._poller, self.client.clock.now().timestamp()
        goes_on = any(not job.settled for job in self._jobs)
        moment = now // (10 if goes_on else 60)
        return _files(), moment, asked.deployed, self.notes(), tuple(asked.unanswered.items())

    def jobs(self) -> tuple[Glance, ...]:
        """Return every job, newest first; the file is read where it has changed."""
        with self._lock:
            if (found := _files()) != self._print or found is None:
                self._spent = tuple(self.client.records.spent())
                self._jobs = ()  # the list that was is not held beside the new one
                self._jobs, self._print = tuple(self.client.glances()), _files()
            return self._jobs

    def seen(self) -> Seen:
        """Return all there is to show now."""
        jobs, now = self.jobs(), self.client.clock.now()
        try:
            most = budget()
        except HubtrainError:  # told where it matters: before money is spent
            most = None
        asked = self._poller
        reasons = tuple(dict.fromkeys(asked.unanswered.values()))
        spent = month((*jobs, *self._spent), now)
        return Seen(
            jobs, asked.deployed, spent, most, self.notes(), reasons, now, removed=self._spent
        )

    def record(self, job_id: str) -> Record:
        """Return a job, read again where it has another event. Raises `BadConfig` for none."""
        now = version(home(), job_id)
        with self._lock:
            known = self._records.get(job_id)
        if known is None or known[0] != now:
            known = (now, self.client.records.get(job_id))
            with self._lock:
                self._records = {**dict(list(self._records.items())[-RECORDS:]), job_id: known}
        return replace(known[1], unanswered=self._poller.unanswered.get(job_id, ""))

    def look(self) -> None:
        """Note that somebody looks, and ask the providers from now on."""
        self._poller.look(self.jobs())

    @cached_property
    def _poller(self) -> Poller:
        return Poller(self.client)

    def notes(self) -> tuple[Note, ...]:
        """Return what is to be told of things asked for, newest first."""
        with self._lock:
            since = time.monotonic() - NOTE_SECONDS
            self._notes = [note for note in self._notes if note.goes_on or note.at > since]
            return tuple(reversed(self._notes))

    def do(self, doing: str, what: Callable[[], str]) -> None:
        """Do something that may take minutes in a thread; what it returns is told, and what fails.

        `doing` is told meanwhile.
        """
        note = Note(time.monotonic(), doing, goes_on=True)
        with self._lock:
            self._notes.append(note)

        def run() -> None:
            try:
                said, wrong = what(), False
            except HubtrainError as error:
                said, wrong = str(error), True
            except Exception as error:  # a mistake of ours is told, and written down
                said, wrong = " ".join(crash.told(error)), True
            with self._lock:
                others = [one for one in self._notes if one is not note]
                self._notes = [*others, Note(time.monotonic(), said, wrong)]

        threading.Thread(target=run, name="app-errand", daemon=True).start()


def curve(job: Glance) -> tuple[tuple[float, float], ...]:
    """Return step and loss of a job, read again once it is further."""
    return _curve(job.job_id, job.step, job.state)


@lru_cache(SPARKS)
def _curve(job_id: str, _step: int | None, _state: str) -> tuple[tuple[float, float], ...]:
    return tuple(losses(home(), job_id))


def _files() -> Hashable:
    """Return what tells apart two states of the file of records; none where there is no file."""
    path = home() / RECORDS_FILE
    found = []
    for one in (path, path.with_name(f"{path.name}-wal")):
        try:
            stat = one.stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append((0, 0))
    return tuple(found) if found[0] != (0, 0) else None
