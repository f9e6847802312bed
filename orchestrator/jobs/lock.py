"""A lock that ends with the process that holds it, however that ends: SQLite's, on every system."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from worker.errors import HubtrainError

WAIT_SECONDS = 0.2


class Locked(HubtrainError):
    """Somebody else holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that is this file. Its folder is there. Raises `Locked`, `HubtrainError`."""
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as lock:
        lock.isolation_level = None
        try:
            lock.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise HubtrainError(f"cannot lock {path}: {error}") from error
            raise Locked(f"{path} is held by another process.") from error
        try:
            yield
        finally:
            with suppress(sqlite3.Error):
                lock.execute("rollback")


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock that is this file. Holds it for nobody meanwhile."""
    if not path.is_file():
        return False
    with closing(sqlite3.connect(path, timeout=0)) as lock:
        try:
            lock.execute("select count(*) from sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
    return False
