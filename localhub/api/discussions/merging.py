"""What a pull request changes, what of it stands against main, and how it gets there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from localhub.errors import conflict
from localhub.hub import Hub
from localhub.storage.content import Blob, Commit
from localhub.storage.discussions import Discussion
from localhub.storage.repos import Repo

MAIN = "refs/heads/main"
MOST_SHOWN = 1 << 20
"""Bytes of a file of which the lines that differ are shown."""

Changes = Mapping[str, tuple[str | None, str | None]]
"""Path to the ids of the file before and after, None where there is none."""


def changes(hub: Hub, repo: Repo, found: Discussion) -> Changes:
    """Return what a pull request changes of the commit it began at."""
    content = hub.content
    before = content.ids_at(repo.id, found.base)
    after = content.ids_at(repo.id, content.sha(repo.id, found.ref))
    return {
        path: (before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    }


def conflicts(hub: Hub, repo: Repo, changed: Changes) -> list[str]:
    """Return the files that main has changed too, and otherwise."""
    now = hub.content.ids_at(repo.id, hub.content.sha(repo.id, MAIN))
    return [path for path, sides in changed.items() if now.get(path) not in sides]


def commits(hub: Hub, repo: Repo, found: Discussion) -> Iterator[Commit]:
    """Yield the commits of a pull request, the newest first."""
    for commit in hub.content.history(repo.id, hub.content.sha(repo.id, found.ref)):
        if commit.sha == found.base:
            return
        yield commit


def merge(hub: Hub, repo: Repo, found: Discussion, author: str) -> tuple[str, str]:
    """Make what a pull request changes one commit on main; return main before and after.

    Refuses with 409 where main has changed one of its files too.
    """
    content = hub.content
    changed = changes(hub, repo, found)
    with hub.store.write():
        old = content.sha(repo.id, MAIN)
        if against := conflicts(hub, repo, changed):
            raise conflict(f"main has changed too: {', '.join(against)}")
        files = content.ids_at(repo.id, old)
        for path, (_, after) in changed.items():
            files.pop(path, None)
            if after is not None:
                files[path] = after
        new = content.add_commit(
            repo.id,
            files,
            parents=[old],
            author=author,
            when=hub.clock.now(),
            message=f"{found.title} (#{found.num})",
        )
        content.set_ref(repo.id, MAIN, new)
        hub.repos.touch(repo)
    return old, new


def diff(hub: Hub, changed: Changes) -> str:
    """Return what differs as git shows it, in files of text that are not large."""
    told = []
    for path, (before, after) in changed.items():
        old, new = (_lines(hub, oid) for oid in (before, after))
        names = (f"a/{path}" if before else "/dev/null", f"b/{path}" if after else "/dev/null")
        told.append(f"diff --git a/{path} b/{path}\n")
        if old is None or new is None:
            told.append(f"Binary files {names[0]} and {names[1]} differ\n")
        else:
            told += difflib.unified_diff(old, new, *names)
    return "".join(told)


def _lines(hub: Hub, oid: str | None) -> list[str] | None:
    """Return the lines of a file, None of one that is no text to be shown."""
    if oid is None:
        return []
    blob: Blob = hub.content.blob(oid)
    if blob.sha256 or blob.size > MOST_SHOWN:
        return None
    try:
        text = hub.content.path_of(blob).read_bytes().decode()
    except UnicodeDecodeError:
        return None
    return [line if line.endswith("\n") else line + "\n" for line in text.splitlines(True)]
