"""A bucket as a folder of a run: what either side changes, the other has a moment later.

Both are looked at every second, and once more when the run has ended. Where both changed a file,
the run's is kept. Symbolic links are left alone, so that nothing outside the folder is read, or
written to.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from localhub.storage.buckets import BucketFile, Buckets

LOOK_SECONDS = 1.0

Seen = list[object]
"""What both sides agreed on: the content's name, and size and time of the file in the folder."""


class Mount:
    """A bucket in a folder. `state` is the file that remembers what both sides agreed on."""

    def __init__(
        self, buckets: Buckets, repo: int, folder: Path, state: Path, *, read_only: bool
    ) -> None:
        self.buckets = buckets
        self.repo = repo
        self.folder = folder
        self.state = state
        self.read_only = read_only
        self._looked = 0.0
        self._agreed = self._remembered()

    def look(self) -> None:
        """Carry changes both ways if the last look was a while ago."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Carry changes both ways; nothing happens once the bucket is deleted."""
        if not self.buckets.exists(self.repo) or self.folder.is_symlink():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        theirs = {file.path: file for file in self.buckets.files(self.repo)}
        ours = dict(_files(self.folder))
        before = dict(self._agreed)
        for path in {*theirs, *ours, *before}:
            with contextlib.suppress(OSError, ValueError):  # it goes on changing: look again
                self._settle(path, theirs.get(path), ours.get(path))
        if self._agreed != before:
            self._remember()
            self.buckets.sweep(self.repo)
        self._looked = time.monotonic()

    def _settle(self, path: str, theirs: BucketFile | None, ours: os.stat_result | None) -> None:
        agreed = self._agreed.get(path)
        changed_here = (_told(ours) if ours else None) != (agreed[1:] if agreed else None)
        changed_there = (theirs.xet if theirs else None) != (agreed[0] if agreed else None)
        if changed_here and not self.read_only and (ours or not changed_there):
            self._send(path, theirs, ours)
        elif changed_there or changed_here:
            self._fetch(path, theirs)

    def _send(self, path: str, theirs: BucketFile | None, ours: os.stat_result | None) -> None:
        if ours is None:
            if theirs:
                self.buckets.remove(self.repo, path)
            self._agreed.pop(path, None)
            return
        xet = self.buckets.take(self.repo, self.folder / path)
        self.buckets.put(self.repo, path, xet, ours.st_mtime)
        self._agreed[path] = [xet, *_told(ours)]

    def _fetch(self, path: str, theirs: BucketFile | None) -> None:
        target = self.folder / path
        if self._leads_away(path):
            return
        if theirs is None:
            target.unlink(missing_ok=True)
            self._agreed.pop(path, None)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        arriving = self.state.with_suffix(".arriving")  # beside the folder: no link lies there
        shutil.copyfile(self.buckets.store.content("lfs", theirs.sha256), arriving)
        when = theirs.mtime.timestamp()
        os.utime(arriving, (when, when))
        arriving.replace(target)
        self._agreed[path] = [theirs.xet, *_told(target.lstat())]

    def _leads_away(self, path: str) -> bool:
        """Whether one of the folders above a file is a link, by which it lies elsewhere."""
        above = list(PurePosixPath(path).parents)[:-1]
        return any((self.folder / one).is_symlink() for one in above)

    def _remembered(self) -> dict[str, Seen]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self.state.read_text("utf-8")))
        return {}

    def _remember(self) -> None:
        arriving = self.state.with_suffix(".new")
        arriving.write_text(json.dumps(self._agreed), "utf-8")
        arriving.replace(self.state)


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            with contextlib.suppress(FileNotFoundError):
                if not path.is_symlink() and path.is_file():
                    yield path.relative_to(folder).as_posix(), path.lstat()


def _told(stat: os.stat_result) -> Seen:
    return [stat.st_size, stat.st_mtime_ns]
