"""The state of a running job that page and supervisor share, with the request to stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from worker.card import worker_of
from worker.clock import Clock
from worker.contract import JobSpec, Stopped, Story, fold
from worker.host import Host
from worker.show.usage import Usage
from worker.supervise.journal import Journal
from worker.supervise.watchdog import limit_of

SIGNAL = "signal"
"""Stands in `stopped_by` for the machine itself, which sends SIGTERM before it ends."""


@dataclass(slots=True)
class Live:
    """One job in this process. The events in `journal` are the only source of its state."""

    spec: JobSpec
    host: Host
    clock: Clock
    journal: Journal
    born: float
    """When this machine began to work for the job, on the clock's monotonic time; limits count from
    here."""

    usage: Usage | None = None
    waiting: str = ""
    """What is waited for before the job can start."""

    stopped_by: str | None = None
    """Who asked first: an account, `user`, or `SIGNAL`; none if nobody has."""

    to_save: float = 0.0
    """How long before a limit training ends, so that a checkpoint can be saved and sent within
    it."""

    over: bool = False
    """Whether the ending has been reported, so that nothing more will change."""

    def ask_to_stop(self, by: str) -> None:
        """Note the request; the supervisor acts on it within a second. May repeat."""
        self.stopped_by = self.stopped_by or by

    @property
    def worker(self) -> str:
        """What people call the program that does the work: trainer, or script."""
        return worker_of(self.spec)

    @property
    def seconds_left(self) -> float:
        """Seconds until a limit of the job is reached; infinite where there is none."""
        allowed = self.spec.limits.seconds(self.spec.machine.usd_per_hour)
        return allowed - (self.clock.monotonic() - self.born)

    def limit(self) -> Stopped | None:
        """Return the ending if the time or the money is used up; none otherwise."""
        elapsed = self.clock.monotonic() - self.born
        return limit_of(elapsed, self.spec.limits, self.spec.machine.usd_per_hour)

    def story(self) -> Story:
        """Return what the events add up to."""
        return fold(self.journal.events)

    def nap(self, seconds: float) -> None:
        """Sleep, but wake up when somebody asks to stop."""
        until = self.clock.monotonic() + seconds
        asked = self.stopped_by
        while (left := until - self.clock.monotonic()) > 0 and self.stopped_by == asked:
            self.clock.sleep(min(left, 0.5))


class Page(Protocol):
    """A page that is being served."""

    url: str | None
    """Its address where only this machine knows it, without the key that opens it."""

    def show_end(self, seconds: float) -> None:
        """Wait until each open page has drawn the end, at most so long."""
        ...
