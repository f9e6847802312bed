"""What repos hold: refs, commits, folders and files, as git has them, in the store.

A commit is one transaction over contents that already lie on disk, so half a commit cannot
be seen. Knows neither people nor HTTP; repos are only numbers here.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from localhub.errors import revision_not_found
from localhub.storage import gitobjects as git
from localhub.storage.large import LargeFiles
from localhub.storage.store import Pool, Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS refs (
    repo INTEGER NOT NULL, name TEXT NOT NULL, sha TEXT NOT NULL, PRIMARY KEY (repo, name));
CREATE TABLE IF NOT EXISTS commits (
    repo INTEGER NOT NULL, sha TEXT NOT NULL, tree TEXT NOT NULL, parents TEXT NOT NULL,
    author TEXT NOT NULL, created INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (repo, sha));
CREATE TABLE IF NOT EXISTS trees (oid TEXT PRIMARY KEY, entries TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blobs (
    oid TEXT PRIMARY KEY, size INTEGER NOT NULL, lfs_sha256 TEXT, lfs_size INTEGER);
CREATE TABLE IF NOT EXISTS pushed_commits (sha TEXT PRIMARY KEY, data BLOB NOT NULL);
"""

SHA = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a revision. `oid` is git's id; a large file has `sha256` and its real size."""

    oid: str
    size: int
    sha256: str | None = None
    pointer_size: int = 0

    @property
    def pool(self) -> Pool:
        return "lfs" if self.sha256 else "git"

    @property
    def name(self) -> str:
        """The name of its content in its pool."""
        return self.sha256 or self.oid


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a repo. `author` is a user's name."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: str
    created: datetime
    message: str

    @property
    def title(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def body(self) -> str:
        return self.message.partition("\n")[2].strip("\n")


class Content:
    """Refs, commits and files of all repos."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_schema(SCHEMA)
        self.large = LargeFiles(store)
        self.entries = lru_cache(maxsize=4096)(self._entries)
        self.blob = lru_cache(maxsize=65536)(self._blob)

    # refs and revisions

    def refs(self, repo: int) -> dict[str, str]:
        """Return full ref names (`refs/heads/main`) and the commits they are at."""
        rows = self.store.db().execute(
            "SELECT name, sha FROM refs WHERE repo=? ORDER BY rowid", (repo,)
        )
        return {row["name"]: row["sha"] for row in rows}

    def ref(self, repo: int, name: str) -> str | None:
        """Return the commit a full ref name is at, None without such a ref."""
        row = (
            self.store.db()
            .execute("SELECT sha FROM refs WHERE repo=? AND name=?", (repo, name))
            .fetchone()
        )
        return row["sha"] if row else None

    def set_ref(self, repo: int, name: str, sha: str) -> None:
        """Put a ref at a commit, made if it is not there."""
        with self.store.write() as db:
            db.execute(
                "INSERT INTO refs VALUES (?,?,?) ON CONFLICT (repo, name) DO UPDATE SET sha=?",
                (repo, name, sha, sha),
            )

    def delete_ref(self, repo: int, name: str) -> None:
        """Remove a ref; its commits stay reachable by id."""
        with self.store.write() as db:
            db.execute("DELETE FROM refs WHERE repo=? AND name=?", (repo, name))

    def sha(self, repo: int, revision: str) -> str:
        """Return the commit of a branch, tag, full ref or (shortened) id, or refuse with 404."""
        if revision == "HEAD":
            revision = "main"
        for name in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            found = self.ref(repo, name)
            if found:
                return found
        if SHA.fullmatch(revision):
            rows = (
                self.store.db()
                .execute(
                    "SELECT sha FROM commits WHERE repo=? AND sha GLOB ? LIMIT 2",
                    (repo, revision + "*"),
                )
                .fetchall()
            )
            if len(rows) == 1:
                return str(rows[0]["sha"])
        raise revision_not_found(revision)

    # commits

    def commit(self, repo: int, sha: str) -> Commit:
        """Return a commit by its full id, or refuse with 404."""
        row = (
            self.store.db()
            .execute("SELECT * FROM commits WHERE repo=? AND sha=?", (repo, sha))
            .fetchone()
        )
        if row is None:
            raise revision_not_found(sha)
        return Commit(
            sha=row["sha"],
            tree=row["tree"],
            parents=tuple(json.loads(row["parents"])),
            author=row["author"],
            created=datetime.fromtimestamp(row["created"], UTC),
            message=row["message"],
        )

    def history(self, repo: int, sha: str) -> Iterator[Commit]:
        """Yield a commit and its ancestors, newest first."""
        next_sha: str | None = sha
        while next_sha:
            commit = self.commit(repo, next_sha)
            yield commit
            next_sha = commit.parents[0] if commit.parents else None

    def add_commit(
        self,
        repo: int,
        files: Mapping[str, str],
        *,
        parents: Iterable[str],
        author: str,
        when: datetime,
        message: str,
    ) -> str:
        """Store the commit whose files are `files` (path to blob id) and return its id.

        A commit without parents may have files of another repo, which then belong to this one too.
        """
        parents = tuple(parents)
        with self.store.write() as db:
            if not parents:
                self.large.hold(repo, files.values())
            modes = self._odd_modes(repo, parents[0]) if parents else {}
            tree = self._add_tree(files, modes)
            made = Commit("", tree, parents, author, when, message)
            sha = git.commit_id(_as_git_has_it(made))
            _note_commit(db, repo, replace(made, sha=sha))
        return sha

    def commit_bytes(self, commit: Commit) -> bytes:
        """Return a commit as git stores it, whoever wrote it."""
        row = (
            self.store.db()
            .execute("SELECT data FROM pushed_commits WHERE sha=?", (commit.sha,))
            .fetchone()
        )
        return bytes(row["data"]) if row else git.commit_bytes(_as_git_has_it(commit))

    def take_commit(self, repo: int, commit: Commit, data: bytes) -> None:
        """Store a commit that git wrote elsewhere, with its bytes; its tree is stored already."""
        with self.store.write() as db:
            db.execute("INSERT OR IGNORE INTO pushed_commits VALUES (?,?)", (commit.sha, data))
            _note_commit(db, repo, commit)

    def take_tree(self, oid: str, entries: Iterable[git.TreeEntry]) -> None:
        """Store a folder; what is in it is stored already."""
        ordered = sorted(entries, key=lambda entry: entry.name)
        rows = json.dumps([[entry.mode, entry.name, entry.oid] for entry in ordered])
        with self.store.write() as db:
            db.execute("INSERT OR IGNORE INTO trees VALUES (?,?)", (oid, rows))

    def _odd_modes(self, repo: int, sha: str) -> dict[str, str]:
        """Return the files of a commit that are programs or links: only git makes such."""
        tree = self.commit(repo, sha).tree
        usual = (git.FILE, git.FOLDER)
        return {path: entry.mode for path, entry in self.walk(tree) if entry.mode not in usual}

    def _add_tree(
        self, files: Mapping[str, str], modes: Mapping[str, str], prefix: str = ""
    ) -> str:
        here: list[git.TreeEntry] = []
        folders: dict[str, dict[str, str]] = {}
        for path, oid in files.items():
            head, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(head, {})[rest] = oid
            else:
                here.append(git.TreeEntry(modes.get(prefix + head, git.FILE), head, oid))
        here += [
            git.TreeEntry(git.FOLDER, name, self._add_tree(sub, modes, f"{prefix}{name}/"))
            for name, sub in folders.items()
        ]
        oid = git.tree_id(here)
        self.take_tree(oid, here)
        return oid

    # files

    def add_file(self, data: bytes) -> str:
        """Put a small file on disk and return its id."""
        oid = git.blob_id(data)
        self.store.keep_bytes("git", oid, data)
        self.note_file(oid, len(data))
        return oid

    def note_file(self, oid: str, size: int) -> None:
        """Record a small file that lies on disk already."""
        with self.store.write() as db:
            db.execute("INSERT OR IGNORE INTO blobs (oid, size) VALUES (?,?)", (oid, size))

    def add_pointer(self, sha256: str, size: int) -> str:
        """Record a large file whose content was uploaded, and return the id of its pointer."""
        data = git.pointer(sha256, size)
        oid = git.blob_id(data)
        with self.store.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO blobs VALUES (?,?,?,?)", (oid, len(data), sha256, size)
            )
        return oid

    def _blob(self, oid: str) -> Blob:
        row = self.store.db().execute("SELECT * FROM blobs WHERE oid=?", (oid,)).fetchone()
        if row is None:
            raise KeyError(oid)
        if row["lfs_sha256"]:
            return Blob(oid, row["lfs_size"], row["lfs_sha256"], row["size"])
        return Blob(oid, row["size"])

    def _entries(self, tree: str) -> tuple[git.TreeEntry, ...]:
        """Return a folder's entries by name; cached, since a tree never changes."""
        row = self.store.db().execute("SELECT entries FROM trees WHERE oid=?", (tree,)).fetchone()
        if row is None:
            raise KeyError(tree)
        return tuple(git.TreeEntry(*entry) for entry in json.loads(row["entries"]))

    def find(self, tree: str, path: str) -> git.TreeEntry | None:
        """Return what is at `path` below a tree, None if nothing is."""
        entry = git.TreeEntry(git.FOLDER, "", tree)
        for part in path.split("/") if path else ():
            if not entry.is_folder:
                return None
            found = next((e for e in self.entries(entry.oid) if e.name == part), None)
            if found is None:
                return None
            entry = found
        return entry

    def walk(self, tree: str, prefix: str = "") -> Iterator[tuple[str, git.TreeEntry]]:
        """Yield every path below a tree in order, folders before what is in them."""
        for entry in self.entries(tree):
            path = prefix + entry.name
            yield path, entry
            if entry.is_folder:
                yield from self.walk(entry.oid, path + "/")

    def ids_at(self, repo: int, sha: str) -> dict[str, str]:
        """Return path and blob id of every file of a commit."""
        tree = self.commit(repo, sha).tree
        return {path: entry.oid for path, entry in self.walk(tree) if not entry.is_folder}

    def files_at(self, repo: int, sha: str) -> dict[str, Blob]:
        """Return path and blob of every file of a commit."""
        return {path: self.blob(oid) for path, oid in self.ids_at(repo, sha).items()}

    def path_of(self, blob: Blob) -> Path:
        """Return where the bytes of a file lie on disk; read them, never write."""
        return self.store.content(blob.pool, blob.name)

    def read(self, repo: int, sha: str, path: str) -> bytes | None:
        """Return a file's bytes, None if it is not in the commit. For small files."""
        entry = self.find(self.commit(repo, sha).tree, path)
        if entry is None or entry.is_folder:
            return None
        return self.path_of(self.blob(entry.oid)).read_bytes()

    def checkout(self, repo: int, sha: str, folder: Path) -> None:
        """Write the files of a commit below `folder`, which is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        for path, blob in self.files_at(repo, sha).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.path_of(blob), target)


def _as_git_has_it(commit: Commit) -> git.CommitObject:
    who = f"{commit.author} <{commit.author}@users.noreply.localhub>"
    return git.CommitObject(commit.tree, commit.parents, who, commit.created, commit.message)


def _note_commit(db: sqlite3.Connection, repo: int, commit: Commit) -> None:
    db.execute(
        "INSERT OR IGNORE INTO commits VALUES (?,?,?,?,?,?,?)",
        (
            *(repo, commit.sha, commit.tree, json.dumps(commit.parents)),
            *(commit.author, int(commit.created.timestamp()), commit.message),
        ),
    )
