"""Discussions as they are kept: a title, a status, and what was said and done in its order.

A pull request is a discussion with a ref, `refs/pr/N`; both are numbered together. Knows no HTTP.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from localhub.storage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS discussions (
    repo INTEGER NOT NULL, num INTEGER NOT NULL, title TEXT NOT NULL, author TEXT NOT NULL,
    created REAL NOT NULL, status TEXT NOT NULL, base TEXT NOT NULL, merged TEXT NOT NULL,
    PRIMARY KEY (repo, num));
CREATE TABLE IF NOT EXISTS discussion_events (
    id TEXT PRIMARY KEY, repo INTEGER NOT NULL, num INTEGER NOT NULL, type TEXT NOT NULL,
    author TEXT NOT NULL, created REAL NOT NULL, data TEXT NOT NULL);
"""

PULLS = "refs/pr/"
Status = Literal["draft", "open", "closed", "merged"]


@dataclass(frozen=True, slots=True)
class Discussion:
    """A discussion. `base` is the commit that a pull request began at, empty for no request."""

    num: int
    title: str
    author: str
    created: datetime
    status: Status
    base: str
    merged: str

    @property
    def is_pull_request(self) -> bool:
        return bool(self.base)

    @property
    def ref(self) -> str:
        """The ref of a pull request."""
        return f"{PULLS}{self.num}"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that was said or done in a discussion; `data` is as the API tells it."""

    id: str
    type: str
    author: str
    created: datetime
    data: dict[str, Any]


class Discussions:
    """The discussions of all repos, by the repo's number."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_schema(SCHEMA)

    def all(self, repo: int) -> list[Discussion]:
        """Return a repo's discussions, the newest first."""
        rows = self.store.db().execute(
            "SELECT * FROM discussions WHERE repo=? ORDER BY num DESC", (repo,)
        )
        return [_discussion(row) for row in rows]

    def find(self, repo: int, num: int) -> Discussion | None:
        """Return a discussion by its number, None if there is none."""
        row = (
            self.store.db()
            .execute("SELECT * FROM discussions WHERE repo=? AND num=?", (repo, num))
            .fetchone()
        )
        return _discussion(row) if row else None

    def of_ref(self, repo: int, ref: str) -> Discussion | None:
        """Return the pull request whose ref this is."""
        number = ref.removeprefix(PULLS)
        if not ref.startswith(PULLS) or not number.isdecimal():
            return None
        return self.find(repo, int(number))

    def open(
        self, repo: int, title: str, author: str, *, when: datetime, status: Status, base: str
    ) -> Discussion:
        """Begin a discussion, or with a `base` a pull request, under the next number."""
        with self.store.write() as db:
            row = db.execute(
                "SELECT COALESCE(MAX(num), 0) AS last FROM (SELECT num FROM discussions WHERE"
                " repo=?1 UNION SELECT CAST(substr(name, ?2) AS INTEGER) FROM refs WHERE repo=?1"
                " AND name GLOB 'refs/pr/*')",
                (repo, len(PULLS) + 1),
            ).fetchone()
            num = int(row["last"]) + 1
            db.execute(
                "INSERT INTO discussions VALUES (?,?,?,?,?,?,?,'')",
                (repo, num, title, author, when.timestamp(), status, base),
            )
        return Discussion(num, title, author, when, status, base, "")

    def change(self, repo: int, num: int, **changes: str) -> None:
        """Set title, status or the commit it was merged as."""
        with self.store.write() as db:
            for name, value in changes.items():
                assert name in ("title", "status", "merged")
                db.execute(
                    f"UPDATE discussions SET {name}=? WHERE repo=? AND num=?", (value, repo, num)
                )

    def add(
        self, repo: int, num: int, kind: str, *, author: str, when: datetime, data: dict[str, Any]
    ) -> Happening:
        """Record that something was said or done."""
        made = Happening(secrets.token_hex(12), kind, author, when, data)
        with self.store.write() as db:
            db.execute(
                "INSERT INTO discussion_events VALUES (?,?,?,?,?,?,?)",
                (made.id, repo, num, kind, author, when.timestamp(), json.dumps(data)),
            )
        return made

    def happenings(self, repo: int, num: int) -> list[Happening]:
        """Return what was said and done, in its order."""
        rows = self.store.db().execute(
            "SELECT * FROM discussion_events WHERE repo=? AND num=? ORDER BY rowid", (repo, num)
        )
        return [_happening(row) for row in rows]

    def rewrite(self, happening: Happening, data: dict[str, Any]) -> None:
        """Replace what was said."""
        with self.store.write() as db:
            db.execute(
                "UPDATE discussion_events SET data=? WHERE id=?", (json.dumps(data), happening.id)
            )

    def forget(self, repo: int) -> None:
        """Remove all discussions of a repo."""
        with self.store.write() as db:
            for table in ("discussions", "discussion_events"):
                db.execute(f"DELETE FROM {table} WHERE repo=?", (repo,))


def _discussion(row: sqlite3.Row) -> Discussion:
    created = datetime.fromtimestamp(row["created"], UTC)
    about = (row["status"], row["base"], row["merged"])
    return Discussion(row["num"], row["title"], row["author"], created, *about)


def _happening(row: sqlite3.Row) -> Happening:
    created = datetime.fromtimestamp(row["created"], UTC)
    return Happening(row["id"], row["type"], row["author"], created, json.loads(row["data"]))
