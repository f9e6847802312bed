"""What a job has printed, from wherever it still is."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.contract import from_marked, marked
from worker.redact import Redactor

AHEAD = 20_000
"""Lines that are kept behind those that were asked for: the next pages are not read again."""


def lines(client: Client, record: Record, *, follow: bool) -> Iterator[str]:
    """Yield what the machine has printed; where it is gone, what it left elsewhere.

    Events are among the lines, marked as such. With `follow`, blocks until the job has ended.
    """
    from orchestrator.jobs.archive import archived_log

    watch, none = client.watch(record), True
    for line in watch.backend.logs(watch.handle, follow=follow):
        none = False
        yield line
    if none:
        yield from archived_log(
            record.spec, client.token, client.clock
        ) or watch.backend.build_logs(watch.handle)
        yield from map(marked, client.refreshed(record).events)


def printed(client: Client, record: Record) -> Iterator[str]:
    """Yield what a job has printed, without its events and without secrets.

    Raises `HubtrainError`.
    """
    redact = Redactor(os.environ)
    if record.story.handle is None:
        return
    for line in lines(client, record, follow=False):
        if from_marked(line) is None:
            yield redact(line)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines of a job that follow each other."""

    job_id: str = ""
    first: int = 0
    """How many lines come before."""

    lines: tuple[str, ...] = ()

    def page(self, job_id: str, after: int, limit: int) -> Stretch | None:
        """Return so many lines behind the first `after`; none where it does not have them all."""
        start = after - self.first
        if job_id != self.job_id or start < 0 or start + limit > len(self.lines):
            return None
        return Stretch(job_id, after, self.lines[start : start + limit])


@dataclass
class Pages:
    """The output of jobs, page by page: whoever reads one to its end has it read once, or nearly.

    Used from several threads; what is kept is of the job that was asked about last.
    """

    client: Client
    _kept: Stretch = Stretch()

    def page(self, record: Record, after: int, limit: int) -> Stretch:
        """Return up to `limit` lines behind the first `after`. Raises `HubtrainError`."""
        if (found := self._kept.page(record.job_id, after, limit)) is not None:
            return found
        coming = islice(printed(self.client, record), after, after + limit + AHEAD)
        self._kept = Stretch(record.job_id, after, tuple(coming))
        return Stretch(record.job_id, after, self._kept.lines[:limit])

    def last(self, record: Record, limit: int) -> Stretch:
        """Return the last `limit` lines that there are. Raises `HubtrainError`."""
        kept = deque(enumerate(printed(self.client, record)), maxlen=limit)
        first = kept[0][0] if kept else 0
        return Stretch(record.job_id, first, tuple(line for _, line in kept))
