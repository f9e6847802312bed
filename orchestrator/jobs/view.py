"""A job of the records as its own page shows it: for the app, and for the cell of a notebook."""

from __future__ import annotations

from datetime import datetime

from orchestrator.jobs.records import Record
from worker.samples import Samples
from worker.show.digest import Digest
from worker.show.view import View


def view_of(record: Record, now: datetime, samples: Samples | None = None) -> View:
    """Return a job as its own page shows it."""
    events = Digest().of(list(record.events))
    return View.of(record.spec, events, record.known_at(now), samples=samples)
