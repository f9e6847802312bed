"""Providers asked about all jobs and deployments of one user, in a thread, while somebody looks.

What is learned of a job is on its record, as what other programs of this machine learn of it: who
looks reads the records, and never waits for a provider that is silent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.pace import Pace
from worker.errors import HubtrainError

if TYPE_CHECKING:
    from orchestrator.deploy.known import Known

LOOK_SECONDS = 10.0
"""How long it is taken for true that somebody looks."""

_DUE_SECONDS = 0.5
"""Wait between two looks at what is to be asked about."""

AT_ONCE = 8
"""Questions that wait for their answers at the same time."""

DEPLOYED = "deployed"
"""Stands for all deployments, where jobs are named by their ids."""


class Poller:
    """Asks about each job the more seldom the less happens to it. Used from several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jobs: tuple[Glance, ...] = ()
        self._pace = Pace(client.clock)
        self._looked = 0.0
        self._asking: threading.Thread | None = None
        self._lock = threading.Lock()
        self.deployed: tuple[Known, ...] = ()
        """The deployments, as their providers knew them the last time."""

        self.unanswered: Mapping[str, str] = {}
        """Why providers could not be asked the last time, by job or `DEPLOYED`."""

        self._busy: set[str] = set()

    def look(self, jobs: Iterable[Glance]) -> None:
        """Note that somebody looks at these jobs, and ask about them from now on."""
        self._jobs = tuple(job for job in jobs if not job.settled)
        self._looked = self._client.clock.monotonic()
        asked = {DEPLOYED, *(job.job_id for job in self._jobs)}
        with self._lock:
            if not self.unanswered.keys() <= asked:  # some have ended, or are removed
                self.unanswered = {n: why for n, why in self.unanswered.items() if n in asked}
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask_on, name="asks", daemon=True)
                self._asking.start()

    def told(self, jobs: Iterable[Glance]) -> list[Glance]:
        """Return these jobs with why their providers could not be asked."""
        why = self.unanswered
        return [replace(job, unanswered=why.get(job.job_id, "")) for job in jobs]

    @property
    def began(self) -> bool:
        """Whether everybody has been asked once."""
        return all(map(self._pace.knows, self._things()))

    def _ask_on(self) -> None:
        clock = self._client.clock
        while clock.monotonic() - self._looked < LOOK_SECONDS:
            for name, ask in self._things().items():
                if self._pace.due(name) and name not in self._busy and len(self._busy) < AT_ONCE:
                    self._busy.add(name)
                    threading.Thread(target=self._one, args=(name, ask), daemon=True).start()
            clock.sleep(_DUE_SECONDS)

    def _things(self) -> dict[str, Callable[[], bool]]:
        """Return what is to be asked about by name, and how: whether there was anything new."""
        found: dict[str, Callable[[], bool]] = {
            job.job_id: partial(self._ask, job) for job in self._jobs
        }
        if self._client.has_deployed:
            found[DEPLOYED] = self._ask_of_deployed
        return found

    def _one(self, name: str, ask: Callable[[], bool]) -> None:
        """Ask about one of them, and note that. Who does not answer holds up nobody else."""
        news = False
        try:
            news = ask()
        except HubtrainError as error:
            self._note(name, error.message)
        finally:
            self._pace.asked(name, news=news)
            self._busy.discard(name)

    def _ask(self, job: Glance) -> bool:
        now = self._client.asked_of(job)
        self._note(job.job_id, now.unanswered)
        return replace(now, unanswered="") != job

    def _ask_of_deployed(self) -> bool:
        from orchestrator.deploy.known import known_deployments

        before, self.deployed = self.deployed, tuple(known_deployments(self._client))
        self._note(DEPLOYED, "")
        return before != self.deployed

    def _note(self, name: str, why: str) -> None:
        with self._lock:
            others = {n: said for n, said in self.unanswered.items() if n != name}
            self.unanswered = others | ({name: why} if why else {})
