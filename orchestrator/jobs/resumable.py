"""Whether a job that has ended can be gone on with, as far as is known here. Asks nobody."""

from __future__ import annotations

from pathlib import Path

import backends
from orchestrator.jobs.record import Record
from worker.contract import Checkpoint, State
from worker.errors import HubtrainError


def checkpoint_of(record: Record) -> Checkpoint | None:
    """Return where a job without a model can be gone on from; none where there is no such place.

    That is its last checkpoint that outlived its machine, or the one that it began at, unless that
    was removed with the job that left it.
    """
    story, start = record.story, record.spec.start
    if not story.state.final or story.state is State.SUCCEEDED:
        return None
    there = start and (start.folder is None or Path(start.folder).exists())
    begun = Checkpoint(step=start.step, where=start.where) if start and there else None
    return checkpoint_kept(record) or begun


def checkpoint_kept(record: Record) -> Checkpoint | None:
    """Return the last checkpoint of a job that outlives its machine; none where there is none."""
    return record.story.checkpoint_kept(keeps_disk=_keeps_disk(record))


def _keeps_disk(record: Record) -> bool:
    """Whether the disk of a job's machine outlives the job; no where that cannot be told here."""
    machine = record.spec.machine
    try:
        kind = backends.load(machine.backend)
        backend = kind().having(kind.options_of(record.spec), machine.flavor)
    except (HubtrainError, ValueError):  # a backend, or options, of another version
        return False
    return backend.keeps_disk
