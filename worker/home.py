"""Where hubtrain keeps its files on a machine: records, runs, packed data."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

RECORDS_FILE = "jobs.sqlite"
"""The file of all jobs."""

_OURS = (
    RECORDS_FILE,
    "runs",
    "data",
    "scratch",
    "container-models",
    "settings.json",
    "crash.txt",
    "prices",
    "machines.json",
    "sweeps",
    "rehearsals",
    "app.key",
    "uploads",
)
"""Beginnings of the names of all files that hubtrain keeps there."""


def home() -> Path:
    """Return the folder: `$HUBTRAIN_HOME`, or the user's data folder. It may not exist yet.

    Raises `BadConfig` for a user without a home: in a container, a number that has no name.
    """
    if chosen := os.environ.get("HUBTRAIN_HOME"):
        return Path(chosen).absolute()
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("hubtrain", appauthor=False))
    except RuntimeError as error:
        from worker.errors import BadConfig

        said = "This user has no home folder to keep records in."
        raise BadConfig(said, fix="Set HUBTRAIN_HOME=/a/folder or HOME.") from error


def make_private(folder: Path) -> None:
    """Make our folder, readable by this user alone; raises `OSError` if it cannot be made.

    If it also holds files of others, as a home does, only our files in it are made private.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform == "win32":  # the user's data folder is the user's own there
        return
    inside = list(folder.iterdir())
    ours = [path for path in inside if path.name.startswith(_OURS)]
    for path in [folder] if len(ours) == len(inside) else ours:
        with suppress(OSError):  # it is another user's, and they decide; or it has just gone
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                path.chmod(mode & 0o700)


def keep(path: Path, text: str, what: str) -> None:
    """Write a file of ours in place of what it held; whoever reads sees the one or the other.

    Raises `HubtrainError`, which says `what` cannot be kept.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        make_private(home())
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        from worker.errors import HubtrainError

        raise HubtrainError(
            f"cannot keep {what} in {path}: {error.strerror}.",
            fix="Make room there, or set HUBTRAIN_HOME to another folder.",
        ) from error
