"""Notes in a dataset of packed data: that jobs of this computer are about to read it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from backends.base import Backend
from backends.hub.notes import Notes
from worker.clock import Clock
from worker.home import home

if TYPE_CHECKING:
    from huggingface_hub import HfApi

UNSEEN_SECONDS = 30 * 86400.0
"""How long a use counts whose job has a machine that other computers do not see: with the time
that it waits in the queue of a cluster."""


def notes(repo_id: str, api: HfApi, clock: Clock) -> Notes:
    """Return the notes of a dataset, as this computer and folder of records reads and writes."""
    return Notes(api, repo_id, "dataset", clock, f"{platform.node()}\0{home()}")


def seconds_unseen(backend: Backend[Any]) -> float:
    """Return for how long nothing may tell other computers of a job that a backend has."""
    return 0.0 if backend.on_hub else UNSEEN_SECONDS
