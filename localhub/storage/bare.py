"""A repo as a bare git repository on disk, so that the `git` of this machine can serve it.

The objects are those that the store describes, byte for byte, so commits keep their ids. A
repository here is a copy that can be made anew at any time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from localhub.storage import gitobjects as git
from localhub.storage.content import Content

SETTINGS = {
    "core.compression": "1",
    "gc.auto": "0",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
}
"""A commit can be fetched by its id, and without the files of a past that nobody looks at."""

PACKED = "# pack-refs with: peeled fully-peeled sorted\n"


class Bare:
    """The bare repositories of a Hub, by the number of a repo."""

    def __init__(self, folder: Path, content: Content) -> None:
        self.folder = folder
        self.content = content
        self._lock = threading.Lock()

    def forget(self, repo: int) -> None:
        """Remove the copy of a repo."""
        shutil.rmtree(self._at(repo), ignore_errors=True)

    def brought_up(self, repo: int) -> Path:
        """Return where a repo lies, with all that its refs reach now."""
        where = self._at(repo)
        with self._lock:
            if not (where / "HEAD").exists():
                self._begin(where)
            refs = {name: sha for name, sha in self.content.refs(repo).items() if fits(name)}
            for sha in refs.values():
                self._bring(repo, where, sha)
            lines = "".join(f"{sha} {name}\n" for name, sha in sorted(refs.items()))
            fresh = where / "packed-refs.fresh"
            fresh.write_text(PACKED + lines)
            fresh.replace(where / "packed-refs")
        return where

    def _at(self, repo: int) -> Path:
        return self.folder / str(repo)

    def _begin(self, where: Path) -> None:
        shutil.rmtree(where, ignore_errors=True)
        run("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(where))
        for name, value in SETTINGS.items():
            run("-C", str(where), "config", name, value)

    def _bring(self, repo: int, where: Path, tip: str) -> None:
        """Write a commit and all before it; parents first, so what is there is there whole."""
        looked = [tip]
        while looked:
            sha = looked[-1]
            if _loose(where, sha).exists():
                looked.pop()
                continue
            commit = self.content.commit(repo, sha)
            before = [one for one in commit.parents if not _loose(where, one).exists()]
            if before:
                looked += before
                continue
            for kind, oid, data in self._below(where, commit.tree):
                _write(where, kind, oid, data)
            _write(where, "commit", sha, self.content.commit_bytes(commit))

    def _below(self, where: Path, tree: str) -> Iterator[tuple[str, str, bytes]]:
        """Yield what a tree holds and is not there, before the tree itself."""
        if _loose(where, tree).exists():
            return
        entries = self.content.entries(tree)
        for entry in entries:
            if entry.is_folder:
                yield from self._below(where, entry.oid)
            elif not _loose(where, entry.oid).exists():
                yield "blob", entry.oid, self._file(entry.oid)
        yield "tree", tree, git.tree_bytes(entries)

    def _file(self, oid: str) -> bytes:
        blob = self.content.blob(oid)
        if blob.sha256:
            return git.pointer(blob.sha256, blob.size)
        return self.content.path_of(blob).read_bytes()


def run(*words: str) -> None:
    """Run git, away from anybody's settings. Raises `CalledProcessError`."""
    subprocess.run(["git", *words], check=True, capture_output=True, env=environment())


def environment(**more: str) -> dict[str, str]:
    """Return what git is to know: nothing of whoever runs the Hub."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return {**ours, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, **more}


def fits(name: str) -> bool:
    """Whether git takes a name: the Hub's API is freer."""
    odd = set(" ~^:?*[\\") & set(name) or ".." in name or "//" in name or "@{" in name
    parts = name.split("/")
    return not odd and all(
        part and not part.startswith(".") and not part.endswith((".", ".lock")) for part in parts
    )


def _loose(where: Path, oid: str) -> Path:
    return where / "objects" / oid[:2] / oid[2:]


def _write(where: Path, kind: str, oid: str, data: bytes) -> None:
    path = _loose(where, oid)
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(zlib.compress(f"{kind} {len(data)}\0".encode() + data, 1))
    fresh.replace(path)
