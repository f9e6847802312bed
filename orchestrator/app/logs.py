"""What a job has printed, as the app shows it: fetched when somebody wants to see it.

For a job that goes on it is fetched again, in a thread, no more often than every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from orchestrator.jobs.client import Client
from orchestrator.jobs.lines import printed
from orchestrator.jobs.records import Record
from worker.errors import HubtrainError

AGAIN_SECONDS = 4.0
SHOWN = 400
"""Lines that a page shows, the last ones."""

SEARCHED = 20_000
"""Lines that are kept of a job to be searched, the last ones; the whole log is a link away."""

KEPT = 16
"""Jobs whose output is kept."""


@dataclass
class _Log:
    printed: tuple[str, ...] = ()
    at: float = -AGAIN_SECONDS
    """When it was fetched last, on the monotonic clock."""

    whole: bool = False
    """Whether nothing will be added to it."""

    fetching: bool = False
    problem: str = ""


@dataclass
class Logs:
    """The output of those jobs that somebody looked at. Used from several threads."""

    client: Client
    _known: dict[str, _Log] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tail(self, record: Record, search: str) -> str:
        """Return the last lines that hold what is searched for, in any case of letters."""
        log = self._fresh(record)
        if not log.printed:
            return log.problem or ("…" if log.fetching else "Nothing was printed.")
        wanted = search.casefold()
        found = [line for line in log.printed if wanted in line.casefold()]
        return "\n".join(found[-SHOWN:]) if found else "No line like that."

    def _fresh(self, record: Record) -> _Log:
        with self._lock:
            log = self._known.pop(record.job_id, None) or _Log()
            self._known[record.job_id] = log
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
            due = time.monotonic() - log.at >= AGAIN_SECONDS
            if due and not (log.whole or log.fetching):
                log.fetching = True
                threading.Thread(target=self._fetch, args=(record, log), daemon=True).start()
        return log

    def _fetch(self, record: Record, log: _Log) -> None:
        try:
            last = deque(printed(self.client, record), SEARCHED)
            log.printed, log.problem = tuple(last), ""
            log.whole = record.settled
        except HubtrainError as error:
            log.problem = str(error)
        finally:
            log.at, log.fetching = time.monotonic(), False
