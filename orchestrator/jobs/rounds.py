"""Many jobs kept as they are now, each asked about the more often the more happens to it.

What other programs of this machine learn of a job is on its record, and seen without asking.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.watch import ASK_SECONDS, ASK_SECONDS_MOST
from worker.clock import Clock

_SLOWER = 1.3
"""How much longer each wait is than the last while nothing happens."""


@dataclass
class Pace:
    """When to ask about something again: soon after news of it, and later and later without."""

    clock: Clock
    _waits: dict[Hashable, tuple[float, float]] = field(default_factory=dict)
    """Until when, and how long that was from the last question on, in seconds."""

    def due(self, what: Hashable) -> bool:
        """Whether it is time to ask; at once for what has never been asked about."""
        return self.clock.monotonic() >= self._waits.get(what, (-math.inf, 0.0))[0]

    def asked(self, what: Hashable, *, news: bool) -> None:
        """Note that it was asked about, and whether that brought `news`."""
        wait = self._waits[what][1] * _SLOWER if what in self._waits else ASK_SECONDS
        wait = ASK_SECONDS if news else min(wait, ASK_SECONDS_MOST)
        self._waits[what] = (self.clock.monotonic() + wait, wait)


class Rounds:
    """All jobs on record here, looked at again and again."""

    def __init__(self, client: Client, *, offline: bool = False) -> None:
        self._client, self._offline = client, offline
        self._pace = Pace(client.clock)
        self._unanswered: dict[str, str] = {}
        """Why providers could not be asked the last time, by job."""

    def look(self, jobs: Iterable[Glance]) -> list[Glance]:
        """Return these jobs as they are known now; the providers of those that are due are asked.

        Blocks until they have answered.
        """
        jobs = list(jobs)
        due = [] if self._offline else [j for j in jobs if not j.settled and self._due(j)]
        asked = {job.job_id: job for job in self._client.asked(due)}
        for job in due:
            now = asked[job.job_id]
            self._pace.asked(job.job_id, news=replace(now, unanswered="") != job)
            self._unanswered[job.job_id] = now.unanswered
        known = (asked.get(job.job_id, job) for job in jobs)
        return [replace(job, unanswered=self._unanswered.get(job.job_id, "")) for job in known]

    def _due(self, job: Glance) -> bool:
        return self._pace.due(job.job_id)
