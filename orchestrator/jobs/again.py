"""The same job asked for again: what is in the model's place may be what it made itself.

What is there names the job that put it there. Whether that is the job asked for is known by the
order's fingerprint, which needs the data packed but nothing sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import Order
from worker.contract import State
from worker.errors import BadConfig


def maker(client: Client, job_ids: Iterable[str | None]) -> Record | None:
    """Return the job of this laptop that made all that is there; none if others did, or several."""
    makers = set(job_ids)
    job_id = makers.pop() if len(makers) == 1 else None
    with suppress(BadConfig):
        record = client.records.get(job_id or "")
        return record if record.job_id == job_id else None
    return None


def same(client: Client, job_ids: Iterable[str | None], order: Order) -> Record | None:
    """Return the job that `order` asks for, if it made what is there and has not failed."""
    record = maker(client, job_ids)
    if record is None or client.records.fingerprint(record.job_id) != order.fingerprint:
        return None
    record = client.refreshed(record)
    state = record.story.state
    return None if state.final and state is not State.SUCCEEDED else record
