"""The output folder of a local job: the new model replaces the old one at the end, as a whole.

Until then the model of an earlier job stays there unchanged. A marker file lists the files that
hubtrain wrote; all other files belong to the user and are neither removed nor overwritten. Each
step is a rename on one disk, so if the process is killed both models are still complete, and
`settle` cleans up the next time. This module does not know what a model is made of, only by which
file names a loader recognizes one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from worker import tasks
from worker.contract import EVENTS_FILE

MANIFEST_FILE = "hubtrain.json"
"""What a program reads of a model's training, beside the model."""

MARKER_FILE = ".hubtrain-output.json"
"""The marker file: which job wrote the folder, and which of its files."""

_HUBS_OWN = ".gitattributes"

_TRIES = 10
"""How often a swap begins again because another job put its model there meanwhile."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds."""

    names: tuple[str, ...]
    """Its files and folders, without those inside folders."""

    job_id: str | None
    """The job that left its model there; none if none did."""

    ours: frozenset[str]
    """Paths of the files that job wrote."""


def would_lose(names: Iterable[str]) -> list[str]:
    """Return which files of a model repo a push may write over or leave beside another model.

    Every file does, not the weights alone: somebody's card or configuration is replaced too. Only
    the files that the Hub itself puts into a new repo do not count.
    """
    return [name for name in names if name != _HUBS_OWN]


def made_by(manifest: str | None) -> str | None:
    """Return the job that wrote a manifest; none if it is no manifest."""
    try:
        return str(json.loads(manifest or "")["spec"]["job_id"])
    except (ValueError, KeyError, TypeError):
        return None


def contents(folder: Path) -> Contents | None:
    """Return what `folder` holds; none if it is empty or not there. Raises `OSError`."""
    try:
        names = tuple(sorted(p.name for p in folder.iterdir()))
    except FileNotFoundError:
        return None
    if not names:
        return None
    job_id, ours = _marked(folder)
    return Contents(tuple(n for n in names if n != MARKER_FILE), job_id, ours)


def left_by(folder: Path) -> str | None:
    """Return the job that left its model in `folder`; none if none did, or it cannot be read."""
    try:
        there = contents(folder)
    except OSError:
        return None
    return there.job_id if there else None


def put(
    model: Path, wanted: Path, job_id: str, *, continued: Collection[str] = (), overwrite: bool
) -> Path:
    """Copy the folder `model` to `wanted`, whole or not at all, and return where it is.

    A folder that is neither this job's nor of one whose training it has `continued` is left alone
    unless `overwrite`: the model then lies beside it, as `wanted-job_id`. Raises `OSError` where it
    cannot be copied; `wanted` is then as it was.
    """
    wanted = Path(os.path.realpath(wanted))  # a link may lead to a disk with room
    new = _beside(wanted, job_id, "new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        shutil.copytree(model, new)
        _mark(new, job_id)
        settle(wanted)
        return _swapped(new, wanted, job_id, continued, overwrite)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def settle(wanted: Path) -> None:
    """Finish a swap that was killed: put the earlier model, and the files of others, back."""
    wanted = Path(os.path.realpath(wanted))
    with suppress(OSError):
        for old, job_id in list(_left(wanted)):
            if os.path.lexists(wanted):
                _give_back(old, wanted, job_id)
            else:
                old.rename(wanted)


def _swapped(
    new: Path, wanted: Path, job_id: str, continued: Collection[str], overwrite: bool
) -> Path:
    old = _beside(wanted, job_id, "old")
    for _ in range(_TRIES):
        if not _may_replace(wanted, {job_id, *continued}, overwrite):
            break
        try:
            with suppress(FileNotFoundError):
                wanted.rename(old)
            new.rename(wanted)
        except OSError:  # taken meanwhile, or a folder that cannot be moved
            settle(wanted)
            continue
        _give_back(old, wanted, job_id)
        return wanted
    aside = wanted.with_name(f"{wanted.name}-{job_id}")
    new.rename(aside)
    return aside


def _may_replace(wanted: Path, ours: Collection[str], overwrite: bool) -> bool:
    try:
        there = contents(wanted)
    except OSError:  # a file, or a folder that may not be read
        return False
    return there is None or overwrite or there.job_id in ours


def _give_back(old: Path, wanted: Path, job_id: str) -> None:
    """Take what is ours out of `old`, and move everything else into `wanted`."""
    if not old.is_dir():
        return
    ours = _marked(old)[1]
    _move(old, wanted, ours, PurePosixPath(), job_id)
    for name in sorted(ours):
        (old / name).unlink(missing_ok=True)
    (old / MARKER_FILE).unlink(missing_ok=True)
    for folder, _, _ in os.walk(old, topdown=False):
        with suppress(OSError):  # not empty: something came in this moment
            Path(folder).rmdir()


def _move(
    old: Path, wanted: Path, ours: frozenset[str], inside: PurePosixPath, job_id: str
) -> None:
    for path in sorted((old / inside).iterdir()):
        name = inside / path.name
        if str(name) in ours or str(name) == MARKER_FILE:
            continue
        folder = path.is_dir() and not path.is_symlink()
        mixed = any(one.startswith(f"{name}/") for one in ours) or (wanted / name).is_dir()
        if folder and mixed:
            _move(old, wanted, ours, name, job_id)
            continue
        target = _free(wanted / name, job_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.rename(target)


def is_model_file(name: str) -> bool:
    """Whether a file's name is one by which a model of any task is loaded.

    An overwrite takes such files out of a repo or folder, whichever task left them there.
    """
    every = (pattern for task in map(tasks.load, tasks.names()) for pattern in task.model_files)
    return any(fnmatch(name, pattern) for pattern in every)


def _free(target: Path, job_id: str) -> Path:
    """Return a name for a file of the user under which no loader takes it for part of the model."""
    if is_model_file(target.name) or os.path.lexists(target):
        return target.with_name(f"{target.name}.before-{job_id}")
    return target


def _mark(folder: Path, job_id: str) -> None:
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    text = json.dumps({"job_id": job_id, "files": sorted(files | {EVENTS_FILE})}, indent=2)
    (folder / MARKER_FILE).write_text(text + "\n", encoding="utf-8")


def _marked(folder: Path) -> tuple[str | None, frozenset[str]]:
    try:
        said = json.loads((folder / MARKER_FILE).read_text(encoding="utf-8"))
        names = [str(name) for name in said["files"]]
        return str(said["job_id"]), frozenset(n for n in names if _inside(n))
    except (OSError, ValueError, KeyError, TypeError):
        return None, frozenset()


def _inside(name: str) -> bool:
    """Whether a path of a marker, which anybody may have written, stays in its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _beside(wanted: Path, job_id: str, what: str) -> Path:
    return wanted.with_name(f".{wanted.name}.{job_id}.{what}")


def _left(wanted: Path) -> Iterator[tuple[Path, str]]:
    start = f".{wanted.name}."
    for path in wanted.parent.iterdir():
        if path.name.startswith(start) and path.name.endswith(".old"):
            yield path, path.name.removeprefix(start).removesuffix(".old")
