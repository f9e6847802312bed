"""What is measured of a job that is worth a look, in lists and while it is watched."""

from __future__ import annotations

from contextlib import suppress

import worker.tasks
from orchestrator.jobs.record import Record


def watched(record: Record) -> tuple[str, float] | None:
    """Return what is measured of a job that is worth a look, and its newest value; none yet."""
    metrics, name = record.story.metrics, "loss"
    if metrics:
        with suppress(ValueError):  # a task that is not there any more
            task, params = worker.tasks.asked(record.spec)
            name = task.watched(params)
    return (name, metrics[name]) if name in metrics else None
