"""Datasets of packed data that this laptop's processes hold while they send them.

A job's data is sent before the job is on record. Until then nothing but the hold tells another
process that somebody needs it. The kernel takes a hold back from a process that dies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from backends.base import OnProgress, silent
from worker.home import home, make_private

if TYPE_CHECKING:
    from filelock import BaseFileLock


@contextmanager
def held(repo_ids: Iterable[str], on_progress: OnProgress = silent) -> Iterator[None]:
    """Hold datasets; blocks, and tells so, while another process holds one of them."""
    with ExitStack() as holds:
        for repo_id in sorted(set(repo_ids)):  # in one order, so that no two wait for each other
            lock = _lock(repo_id)
            if not _taken(lock):
                on_progress(f"waiting for another command that sends {repo_id}", None)
                lock.acquire()
            holds.callback(lock.release)
        yield


@contextmanager
def held_alone(repo_id: str) -> Iterator[bool]:
    """Hold a dataset and yield true, or yield false at once where another process holds it."""
    lock = _lock(repo_id)
    taken = _taken(lock)
    try:
        yield taken
    finally:
        lock.release()


def _taken(lock: BaseFileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _lock(repo_id: str) -> BaseFileLock:
    from filelock import FileLock

    folder = home() / "held"
    make_private(home())
    folder.mkdir(exist_ok=True)
    return FileLock(folder / f"{repo_id.replace('/', '--')}.lock")
