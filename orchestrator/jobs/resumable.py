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
    last = story.pushed_checkpoint
    if backends.load(record.spec.machine.backend).keeps_disk and story.last_checkpoint:
        further = last is None or story.last_checkpoint.step > last.step
        return story.last_checkpoint if further else last
    return last
