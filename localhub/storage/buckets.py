"""What buckets hold: paths and the contents they name, without history.

A bucket is a repo of its own type, so that names, owners and contents are kept as those of repos
are. A change is one transaction over contents that already lie on disk. Knows no HTTP.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localhub.storage.large import LargeFiles
from localhub.storage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS bucket_files (
    repo INTEGER NOT NULL, path TEXT NOT NULL, xet TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, mtime REAL NOT NULL, uploaded REAL NOT NULL,
    PRIMARY KEY (repo, path));
"""

LONGEST_PATH = 1024
LAST_CHARACTER = "\U0010ffff"
LAST_TIME = 1e11
"""Seconds since 1970 that still make a date."""

PIECE = 1 << 20
"""Bytes read at a time."""

UNUSED_SECONDS = 3600.0
"""How long a content stays that no file names: between its upload and the file, none does."""

REPLACED_SECONDS = 60
"""How long a content of a mounted file stays once it is replaced, for those who are reading it."""


@dataclass(frozen=True, slots=True)
class BucketFile:
    """A file of a bucket. `xet` is how Xet calls its content; `size` is in bytes."""

    path: str
    xet: str
    sha256: str
    size: int
    mtime: datetime
    uploaded: datetime


def good_path(path: object) -> str:
    """Return a path that a bucket may hold. Raises `ValueError` for any other."""
    if not isinstance(path, str) or not path or len(path.encode("utf-8", "replace")) > LONGEST_PATH:
        raise ValueError(f"a path has 1 to {LONGEST_PATH} bytes")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError("a path has no empty parts, and neither . nor ..")
    if not path.isprintable():
        raise ValueError("a path has no control characters")
    return path


class Buckets:
    """The files of all buckets, by the number of the bucket's repo."""

    def __init__(self, store: Store, large: LargeFiles) -> None:
        self.store = store
        self.large = large
        store.add_schema(SCHEMA)

    def exists(self, repo: int) -> bool:
        """Return whether a bucket is still there."""
        row = self.store.db().execute("SELECT 1 FROM repos WHERE id=?", (repo,)).fetchone()
        return row is not None

    def files(self, repo: int, prefix: str = "") -> list[BucketFile]:
        """Return the files whose paths begin so, in their order."""
        rows = self.store.db().execute(
            "SELECT * FROM bucket_files WHERE repo=? AND path>=? AND path<? ORDER BY path",
            (repo, prefix, prefix + LAST_CHARACTER),
        )
        return [_file(row) for row in rows]

    def file(self, repo: int, path: str) -> BucketFile | None:
        """Return a file by its path, None if there is none."""
        row = (
            self.store.db()
            .execute("SELECT * FROM bucket_files WHERE repo=? AND path=?", (repo, path))
            .fetchone()
        )
        return _file(row) if row else None

    def measured(self, repo: int) -> tuple[int, int]:
        """Return how many files a bucket has, and their bytes."""
        row = self.store.db().execute(
            "SELECT COUNT(*) AS files, COALESCE(SUM(size), 0) AS bytes FROM bucket_files"
            " WHERE repo=?",
            (repo,),
        )
        found = row.fetchone()
        return int(found["files"]), int(found["bytes"])

    def take(self, repo: int, path: Path) -> str:
        """Give a bucket the bytes of a file of this machine, and return by what name it has them.

        They are those that were there while they were read. Raises `OSError`.
        """
        arriving, seen = self.store.incoming(), hashlib.sha256()
        try:
            with path.open("rb") as source, arriving.open("wb") as kept:
                while data := source.read(PIECE):
                    kept.write(data)
                    seen.update(data)
            size = arriving.stat().st_size
            with self.store.write():
                self.store.keep("lfs", seen.hexdigest(), arriving)
                self.large.note(repo, seen.hexdigest(), size)
                ago = UNUSED_SECONDS - REPLACED_SECONDS
                self.large.note_xet(repo, seen.hexdigest(), seen.hexdigest(), ago=ago)
        finally:
            arriving.unlink(missing_ok=True)
        return seen.hexdigest()

    def put(self, repo: int, path: str, xet: str, mtime: float) -> None:
        """Give a path a content that the bucket was given before; what it held is replaced.

        `mtime` is in seconds. Raises `ValueError` for a bad path, one that another file stands in
        the way of, or a content that never came.
        """
        good_path(path)
        if not 0 <= mtime <= LAST_TIME:
            raise ValueError("mtime is no time")
        with self.store.write() as db:
            if self._in_the_way(db, repo, path):
                raise ValueError("one of its folders is a file, or it is a folder itself")
            sha256 = self.large.by_xet(repo, xet)
            if sha256 is None:
                raise ValueError(f"nobody has uploaded the content {xet}")
            size = self.large.size(repo, sha256)
            db.execute(
                "INSERT OR REPLACE INTO bucket_files VALUES (?,?,?,?,?,?,?)",
                (repo, path, xet, sha256, size, mtime, time.time()),
            )

    def remove(self, repo: int, path: str) -> None:
        """Remove a file. Raises `ValueError` if there is none."""
        with self.store.write() as db:
            gone = db.execute("DELETE FROM bucket_files WHERE repo=? AND path=?", (repo, path))
            if not gone.rowcount:
                raise ValueError("there is no such file")

    def sweep(self, repo: int) -> None:
        """Free the contents that no file of a bucket names any more, but for those of late."""
        late = time.time() - UNUSED_SECONDS
        with self.store.write() as db:
            rows = db.execute(
                "SELECT sha256 FROM lfs_objects WHERE repo=?1 AND sha256 NOT IN"
                " (SELECT sha256 FROM bucket_files WHERE repo=?1 UNION"
                "  SELECT sha256 FROM xet_names WHERE repo=?1 AND noted>?2)",
                (repo, late),
            )
            unused = [str(row["sha256"]) for row in rows]
            self.large.forget(repo, unused)
        self.large.sweep(unused)

    def forget(self, repo: int) -> None:
        """Remove all files of a bucket, whose contents go with its repo."""
        with self.store.write() as db:
            db.execute("DELETE FROM bucket_files WHERE repo=?", (repo,))

    @staticmethod
    def _in_the_way(db: sqlite3.Connection, repo: int, path: str) -> bool:
        above = list(_folders(path))
        marks = ",".join("?" * len(above)) or "NULL"
        found = db.execute(
            f"SELECT 1 FROM bucket_files WHERE repo=? AND (path IN ({marks})"
            " OR (path>=? AND path<?)) LIMIT 1",
            (repo, *above, path + "/", path + "/" + LAST_CHARACTER),
        )
        return found.fetchone() is not None


def _folders(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _file(row: sqlite3.Row) -> BucketFile:
    return BucketFile(
        path=row["path"],
        xet=row["xet"],
        sha256=row["sha256"],
        size=row["size"],
        mtime=datetime.fromtimestamp(row["mtime"], UTC),
        uploaded=datetime.fromtimestamp(row["uploaded"], UTC),
    )
