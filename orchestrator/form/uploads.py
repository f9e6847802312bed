"""Files that a browser sends: kept in folders of hubtrain's own until a job has read them.

Each upload has a folder with a name that nobody can guess. It is removed with the last job that was
made of it, or after a day if none was.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from orchestrator.hosted import UPLOADS, upload_of
from worker.clock import Clock
from worker.errors import BadData
from worker.home import home, make_private

JOBS = ".jobs"
"""Beside the files: the jobs that were made of them, one a line."""

KEPT_SECONDS = 86400.0
LONGEST = 100
"""Characters of a name."""

_UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"|?*]+')


def received(files: Iterable[tuple[str, Path]]) -> str:
    """Take in files under the names they had at their owner's; return what `data_path` means them.

    That is a single file itself, and of several the folder they lie in. The files are moved.
    """
    folder = _new()
    taken: list[Path] = []
    try:
        for name, file in files:
            folder.mkdir(parents=True, exist_ok=True)
            taken.append(folder / _free(folder, harmless(name)))
            shutil.move(file, taken[-1])
    except OSError:  # a full disk, say: half of an upload helps nobody
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if not taken:
        raise BadData("no file arrived.")
    return str(taken[0] if len(taken) == 1 else folder)


def written(files: Mapping[str, str | bytes]) -> Path:
    """Write files of our own, by their paths, where uploads lie; return their folder."""
    folder = _new()
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def _new() -> Path:
    """Return a folder for files of one upload, which is not made yet."""
    make_private(home())
    return home() / UPLOADS / secrets.token_hex(8)


def harmless(name: str) -> str:
    """Return the last part of a name, without anything by which it would leave its folder."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    plain = _UNFIT.sub("_", last).strip(". ")
    stem, suffix = PurePosixPath(plain).stem, "".join(PurePosixPath(plain).suffixes[-2:])
    suffix = suffix if len(suffix) < LONGEST // 2 else PurePosixPath(plain).suffix[:10]
    stem = plain.removesuffix(suffix) or stem
    return f"{stem[: LONGEST - len(suffix)]}{suffix}" or "data"


def _free(folder: Path, name: str) -> str:
    """Return a name that no file in the folder has."""
    stem, dot, suffix = name.partition(".")
    names = (name, *(f"{stem}-{n}{dot}{suffix}" for n in range(2, 1000)))
    return next(one for one in names if not (folder / one).exists())


def used(data_path: str, job_id: str) -> None:
    """Note that a job was made of an upload; other paths are left alone."""
    if (folder := upload_of(data_path)) is not None and folder.is_dir():
        with (folder / JOBS).open("a", encoding="utf-8") as jobs:
            jobs.write(f"{job_id}\n")


def dropped(data_path: str) -> None:
    """Remove an upload of which no job was made, because another one takes its place."""
    folder = upload_of(data_path)
    if folder is not None and not (folder / JOBS).exists():
        shutil.rmtree(folder, ignore_errors=True)


def clear(clock: Clock, is_there: Callable[[str], bool]) -> None:
    """Remove uploads whose jobs are all gone, and those of yesterday that no job was made of."""
    root = home() / UPLOADS
    for folder in root.iterdir() if root.is_dir() else ():
        jobs = folder / JOBS
        if jobs.exists():
            kept = any(map(is_there, jobs.read_text(encoding="utf-8").split()))
        else:
            kept = clock.now().timestamp() - folder.stat().st_mtime < KEPT_SECONDS
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
