"""Storage on disk: one SQLite database (WAL) and file contents named by their hash.

`kill -9` at any moment loses at most work that no client was told is done: contents are complete on
disk before the transaction that names them. Knows no HTTP and no repos; every room brings its own
tables with `add_schema`.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Pool = Literal["git", "lfs"]
"""Where a content lies: small files by git's blob id, large ones by their SHA-256."""


class Store:
    """The data folder of one Hub, safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("git", "lfs", "incoming"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for leftover in (folder / "incoming").iterdir():
            if leftover.is_file():
                leftover.unlink()
        self._local = threading.local()

    def add_schema(self, ddl: str) -> None:
        """Create a room's tables; every statement says `IF NOT EXISTS`."""
        self.db().executescript(ddl)

    def db(self) -> sqlite3.Connection:
        """Return this thread's own connection, for reading; rows answer to column names."""
        if not hasattr(self._local, "db"):
            made = sqlite3.connect(self.folder / "hub.sqlite", timeout=30, isolation_level=None)
            made.row_factory = sqlite3.Row
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("PRAGMA synchronous=FULL")
            made.execute("PRAGMA foreign_keys=ON")
            self._local.db = made
            self._local.after = []
        db: sqlite3.Connection = self._local.db
        return db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it happens or, if the block raises, nothing.

        Inside another `write` of the same thread the outer one decides.
        """
        db = self.db()
        if db.in_transaction:
            yield db
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            self._local.after = []
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        after, self._local.after = self._local.after, []
        for call in after:
            call()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run `call` once the transaction this thread is in is durable; at once if in none."""
        if self.db().in_transaction:
            self._local.after.append(call)
        else:
            call()

    def content(self, pool: Pool, oid: str) -> Path:
        """Return where the content named `oid` lies, or would lie."""
        return self.folder / pool / oid[:2] / oid[2:]

    def incoming(self) -> Path:
        """Return a new path for bytes on their way in; whoever asks also removes it."""
        return self.folder / "incoming" / secrets.token_hex(16)

    def keep(self, pool: Pool, oid: str, arrived: Path) -> None:
        """Move a complete file into the pool under its name, durably; may be repeated."""
        target = self.content(pool, oid)
        target.parent.mkdir(parents=True, exist_ok=True)
        with arrived.open("rb+") as file:
            os.fsync(file.fileno())
        arrived.replace(target)
        _sync_folder(target.parent)

    def keep_bytes(self, pool: Pool, oid: str, data: bytes) -> None:
        """Put a small content into the pool; nothing is written if it is there already."""
        if self.content(pool, oid).exists():
            return
        arriving = self.incoming()
        arriving.write_bytes(data)
        self.keep(pool, oid, arriving)


def _sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
