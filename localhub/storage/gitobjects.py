"""Git's own object format: the ids of blobs, trees and commits, exactly as git computes them.

Pure functions over bytes; stores nothing. Trees are lists of `TreeEntry` of one folder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

FILE = "100644"
FOLDER = "40000"

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"

POINTER_PATTERN = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\s+oid sha256:([0-9a-f]{64})\s+size (\d+)\s*"
)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name in a folder: a file's blob or a folder's tree."""

    mode: str
    name: str
    oid: str

    @property
    def is_folder(self) -> bool:
        return self.mode == FOLDER


@dataclass(frozen=True, slots=True)
class CommitObject:
    """A commit before it has an id. `author` is `Name <address>`; times have whole seconds."""

    tree: str
    parents: tuple[str, ...]
    author: str
    when: datetime
    message: str


def object_id(kind: str, data: bytes) -> str:
    """Return the SHA-1 git gives an object of this kind and content, in hex."""
    head = f"{kind} {len(data)}\0".encode()
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()


def blob_id(data: bytes) -> str:
    """Return a file's id."""
    return object_id("blob", data)


def pointer(sha256: str, size: int) -> bytes:
    """Return the small file that stands in git for a large one."""
    return POINTER.format(sha256=sha256, size=size).encode()


def read_pointer(data: bytes) -> tuple[str, int] | None:
    """Return SHA-256 and size of the large file a small one stands for, None if for none."""
    found = POINTER_PATTERN.fullmatch(data)
    return (found[1].decode(), int(found[2])) if found else None


def tree_bytes(entries: Iterable[TreeEntry]) -> bytes:
    """Return a folder as git stores it; git sorts folders as if their names ended in a slash."""
    ordered = sorted(entries, key=lambda e: (e.name + "/" * e.is_folder).encode())
    return b"".join(
        f"{entry.mode} {entry.name}\0".encode() + bytes.fromhex(entry.oid) for entry in ordered
    )


def tree_id(entries: Iterable[TreeEntry]) -> str:
    """Return a folder's id."""
    return object_id("tree", tree_bytes(entries))


def commit_bytes(commit: CommitObject) -> bytes:
    """Return a commit as git stores it, in UTC."""
    who = f"{commit.author} {int(commit.when.timestamp())} +0000"
    lines = [f"tree {commit.tree}", *(f"parent {parent}" for parent in commit.parents)]
    lines += [f"author {who}", f"committer {who}", "", commit.message]
    return "\n".join(lines).encode()


def commit_id(commit: CommitObject) -> str:
    """Return a commit's id."""
    return object_id("commit", commit_bytes(commit))


def read_tree(data: bytes) -> list[TreeEntry]:
    """Return the entries of a folder as git stores it. Raises `ValueError` for what is none."""
    entries = []
    while data:
        head, _, rest = data.partition(b"\0")
        mode, _, name = head.decode().partition(" ")
        entries.append(TreeEntry(mode, name, rest[:20].hex()))
        data = rest[20:]
    return entries


def read_commit(data: bytes) -> CommitObject:
    """Return what a commit as git stores it says. Raises `ValueError` for what is none."""
    head, _, message = data.decode("utf-8", "replace").partition("\n\n")
    said = [line.partition(" ") for line in head.split("\n")]
    parents = tuple(value for key, _, value in said if key == "parent")
    tree = next(value for key, _, value in said if key == "tree")
    author = next(value for key, _, value in said if key == "author")
    who, seconds, _ = author.rsplit(" ", 2)
    return CommitObject(tree, parents, who, datetime.fromtimestamp(int(seconds), UTC), message)
