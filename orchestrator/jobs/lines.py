"""What a job has printed, from wherever it still is."""

from __future__ import annotations

import os
from collections.abc import Iterator

from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.contract import from_marked, marked
from worker.redact import Redactor


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
