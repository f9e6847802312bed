"""Repos by name, type and owner: created, found, renamed, deleted.

Who may do so is decided by `accounts`, what they hold is `content`'s.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from localhub.errors import Refusal, bad_request, conflict
from localhub.storage.content import Content
from localhub.storage.store import Store

RepoType = Literal["model", "dataset", "space", "bucket"]
PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/", "bucket": "buckets/"}
"""What stands before a repo's name in addresses for people, files and LFS."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, ns TEXT NOT NULL,
    name TEXT NOT NULL, private INTEGER NOT NULL, gated TEXT NOT NULL DEFAULT '',
    creator TEXT NOT NULL, created REAL NOT NULL, changed REAL NOT NULL,
    downloads INTEGER NOT NULL DEFAULT 0, UNIQUE (type, ns, name));
CREATE TABLE IF NOT EXISTS moves (
    type TEXT NOT NULL, old TEXT NOT NULL, repo INTEGER NOT NULL, PRIMARY KEY (type, old));
CREATE TABLE IF NOT EXISTS accesses (
    repo INTEGER NOT NULL, user TEXT NOT NULL, PRIMARY KEY (repo, user));
"""

NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_][A-Za-z0-9._-]{0,95}(?<![.-])(?<!\.git)")

LFS_PATTERNS = """
*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack
*.npy *.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors
saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz *.zip *.zst *tfevents*
"""
GITATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS.split()
)
"""Files that the Hub puts into a new repo."""


@dataclass(frozen=True, slots=True)
class Repo:
    """A repo. `id` stays through renames; `gated` is "", "auto" or "manual"."""

    id: int
    type: RepoType
    ns: str
    name: str
    private: bool
    gated: str
    creator: str
    created: datetime
    changed: datetime
    downloads: int

    @property
    def full_name(self) -> str:
        return f"{self.ns}/{self.name}"

    @property
    def page(self) -> str:
        """The repo's address below the endpoint, as in `spaces/ann/demo`."""
        return PREFIX[self.type] + self.full_name


class Repos:
    """All repos of the Hub."""

    def __init__(self, store: Store, content: Content, now: Callable[[], datetime]) -> None:
        self.store = store
        self.content = content
        self.now = now
        store.add_schema(SCHEMA)

    def find(self, repo_type: str, full_name: str) -> Repo | None:
        """Return a repo by type and `owner/name`, None if there is none."""
        ns, _, name = full_name.partition("/")
        return self._one("type=? AND ns=? AND name=?", repo_type, ns, name)

    def by_id(self, number: int) -> Repo | None:
        """Return a repo by its number, None if it was deleted."""
        return self._one("id=?", number)

    def moved(self, repo_type: str, full_name: str) -> Repo | None:
        """Return the repo that used to have this name."""
        return self._one("id=(SELECT repo FROM moves WHERE type=? AND old=?)", repo_type, full_name)

    def list(self, repo_type: str) -> list[Repo]:
        """Return all repos of a type, the last changed first."""
        rows = self.store.db().execute(
            "SELECT * FROM repos WHERE type=? ORDER BY changed DESC, id DESC", (repo_type,)
        )
        return [_repo(row) for row in rows]

    def _one(self, where: str, *values: object) -> Repo | None:
        row = self.store.db().execute(f"SELECT * FROM repos WHERE {where}", values).fetchone()
        return _repo(row) if row else None

    def create(
        self, repo_type: RepoType, full_name: str, *, private: bool, creator: str, url: str
    ) -> Repo:
        """Make a repo with the Hub's first commit; 409 if the name is taken, 400 if it is bad.

        A bucket has no commits.
        """
        check_name(full_name)
        ns, _, name = full_name.partition("/")
        stamp = self.now().timestamp()
        with self.store.write() as db:
            if self.find(repo_type, full_name):
                raise taken(repo_type, url)
            db.execute("DELETE FROM moves WHERE type=? AND old=?", (repo_type, full_name))
            number = db.execute(
                "INSERT INTO repos (type, ns, name, private, creator, created, changed)"
                " VALUES (?,?,?,?,?,?,?)",
                (repo_type, ns, name, private, creator, stamp, stamp),
            ).lastrowid
            assert number is not None
            if repo_type != "bucket":
                self._first_commit(number, creator)
        made = self.by_id(number)
        assert made is not None
        return made

    def _first_commit(self, number: int, creator: str) -> None:
        sha = self.content.add_commit(
            number,
            {".gitattributes": self.content.add_file(GITATTRIBUTES.encode())},
            parents=(),
            author=creator,
            when=self.now(),
            message="initial commit",
        )
        self.content.set_ref(number, "refs/heads/main", sha)

    def delete(self, repo: Repo) -> None:
        """Remove a repo and what it alone holds."""
        with self.store.write() as db:
            for table in ("refs", "commits", "lfs_objects", "xet_names", "moves", "accesses"):
                db.execute(f"DELETE FROM {table} WHERE repo=?", (repo.id,))
            db.execute("DELETE FROM repos WHERE id=?", (repo.id,))

    def rename(self, repo: Repo, full_name: str, url: str) -> Repo:
        """Give a repo another name; the old one redirects until somebody takes it."""
        check_name(full_name)
        ns, _, name = full_name.partition("/")
        with self.store.write() as db:
            if self.find(repo.type, full_name):
                raise taken(repo.type, url)
            db.execute("DELETE FROM moves WHERE type=? AND old=?", (repo.type, full_name))
            db.execute(
                "INSERT OR REPLACE INTO moves VALUES (?,?,?)", (repo.type, repo.full_name, repo.id)
            )
            db.execute("UPDATE repos SET ns=?, name=? WHERE id=?", (ns, name, repo.id))
        made = self.by_id(repo.id)
        assert made is not None
        return made

    def change(self, repo: Repo, *, private: bool | None = None, gated: str | None = None) -> Repo:
        """Set visibility and gating; what is None stays."""
        with self.store.write() as db:
            if private is not None:
                db.execute("UPDATE repos SET private=? WHERE id=?", (private, repo.id))
            if gated is not None:
                db.execute("UPDATE repos SET gated=? WHERE id=?", (gated, repo.id))
        made = self.by_id(repo.id)
        assert made is not None
        return made

    def touch(self, repo: Repo) -> None:
        """Note that a repo's content changed now."""
        with self.store.write() as db:
            db.execute("UPDATE repos SET changed=? WHERE id=?", (self.now().timestamp(), repo.id))

    def accept(self, repo: Repo, user: str) -> None:
        """Let a user past the gate of a repo."""
        with self.store.write() as db:
            db.execute("INSERT OR IGNORE INTO accesses VALUES (?,?)", (repo.id, user))

    def accepted(self, repo: Repo, user: str) -> bool:
        """Return whether a user is past the gate of a repo."""
        found = self.store.db().execute(
            "SELECT 1 FROM accesses WHERE repo=? AND user=?", (repo.id, user)
        )
        return found.fetchone() is not None


def _repo(row: sqlite3.Row) -> Repo:
    return Repo(
        id=row["id"],
        type=row["type"],
        ns=row["ns"],
        name=row["name"],
        private=bool(row["private"]),
        gated=row["gated"],
        creator=row["creator"],
        created=datetime.fromtimestamp(row["created"], UTC),
        changed=datetime.fromtimestamp(row["changed"], UTC),
        downloads=row["downloads"],
    )


def check_name(full_name: str) -> None:
    """Refuse with 400 a name the Hub would not take."""
    _, slash, name = full_name.partition("/")
    if not slash or not NAME.fullmatch(name):
        raise bad_request(
            f"Invalid repo name: {name or full_name} - use alphanumerics, '-', '_' or '.', at most"
            " 96; '--' and '..' are forbidden, '-' and '.' cannot start or end the name, nor may"
            " it end in .git"
        )


def taken(repo_type: str, url: str) -> Refusal:
    """Return the 409 with the address of the repo that has the name."""
    message = f"You already created this {repo_type} repo"
    return conflict(message, body={"error": message, "url": url})
