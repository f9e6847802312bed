"""Whether a job that has ended can be gone on with, as far as is known here. Asks nobody."""

from __future__ import annotations

import backends
from orchestrator.jobs.records import Record
from worker.contract import Checkpoint, State


def checkpoint_of(record: Record) -> Checkpoint | None:
    """Return the last checkpoint of a job without a model that outlived its machine; else none."""
    story = record.story
    if not story.state.final or story.state is State.SUCCEEDED:
        return None
    keeps_disk = backends.load(record.spec.machine.backend).keeps_disk
    return story.checkpoint_kept(keeps_disk=keeps_disk)
