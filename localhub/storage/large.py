"""Large files (LFS): which repo has which, by SHA-256, and which are no longer used by any.

The bytes lie in the store once, however many repos have them. A repo has only what was
uploaded to it or copied into it: knowing a hash is not having a file.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from localhub.storage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS lfs_objects (
    repo INTEGER NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (repo, sha256));
CREATE TABLE IF NOT EXISTS xet_names (
    repo INTEGER NOT NULL, xet TEXT NOT NULL, sha256 TEXT NOT NULL, noted REAL NOT NULL,
    PRIMARY KEY (repo, xet));
"""


class LargeFiles:
    """The large contents of all repos."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_schema(SCHEMA)

    def note(self, repo: int, sha256: str, size: int) -> None:
        """Record that a large content on disk was given to a repo."""
        with self.store.write() as db:
            db.execute("INSERT OR IGNORE INTO lfs_objects VALUES (?,?,?)", (repo, sha256, size))

    def size(self, repo: int, sha256: str) -> int | None:
        """Return the bytes of a large content this repo was given, None if it never was."""
        row = (
            self.store.db()
            .execute("SELECT size FROM lfs_objects WHERE repo=? AND sha256=?", (repo, sha256))
            .fetchone()
        )
        return row["size"] if row else None

    def note_xet(self, repo: int, xet: str, sha256: str, *, ago: float = 0.0) -> None:
        """Record how Xet calls a large content of a repo, and how many seconds ago it came."""
        row = (repo, xet, sha256, time.time() - ago)
        with self.store.write() as db:
            db.execute("INSERT OR REPLACE INTO xet_names VALUES (?,?,?,?)", row)

    def by_xet(self, repo: int, xet: str) -> str | None:
        """Return the SHA-256 of the content that Xet calls so in a repo, None if it has none.

        What did not come by Xet goes by its SHA-256.
        """
        row = (
            self.store.db()
            .execute("SELECT sha256 FROM xet_names WHERE repo=? AND xet=?", (repo, xet))
            .fetchone()
        )
        sha256 = row["sha256"] if row else xet
        return sha256 if self.size(repo, sha256) is not None else None

    def files(self, repo: int) -> dict[str, int]:
        """Return SHA-256 and bytes of every large content a repo was given."""
        rows = self.store.db().execute(
            "SELECT sha256, size FROM lfs_objects WHERE repo=? ORDER BY rowid", (repo,)
        )
        return {row["sha256"]: row["size"] for row in rows}

    def used(self, repo: int) -> int:
        """Return the bytes of large contents a repo was given, those of old commits too."""
        row = self.store.db().execute(
            "SELECT COALESCE(SUM(size), 0) AS used FROM lfs_objects WHERE repo=?", (repo,)
        )
        return int(row.fetchone()["used"])

    def hold(self, repo: int, oids: Iterable[str]) -> None:
        """Give a repo the large contents behind pointers that another revision or repo has."""
        with self.store.write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO lfs_objects SELECT ?, lfs_sha256, lfs_size FROM blobs"
                " WHERE oid=? AND lfs_sha256 IS NOT NULL",
                [(repo, oid) for oid in oids],
            )

    def forget(self, repo: int, names: Iterable[str]) -> None:
        """Take large contents from a repo; `sweep` then frees those no other repo has."""
        gone = [(repo, one) for one in names]
        with self.store.write() as db:
            for table in ("lfs_objects", "xet_names"):
                db.executemany(f"DELETE FROM {table} WHERE repo=? AND sha256=?", gone)

    def sweep(self, names: Iterable[str]) -> None:
        """Free the disk of those large contents that no repo has any more."""
        # Under the write lock, so that no upload of the same content ends in between.
        with self.store.write() as db:
            for name in names:
                held = db.execute("SELECT 1 FROM lfs_objects WHERE sha256=?", (name,)).fetchone()
                if held is None:
                    self.store.content("lfs", name).unlink(missing_ok=True)
