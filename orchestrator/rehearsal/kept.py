"""Reports of rehearsals, kept beside the records of jobs: written while one runs, and read by all.

Each has a folder with its name: the report, a lock that its process holds, and a file that asks it
to stop. Only the last ones are kept.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from orchestrator.jobs.lock import is_locked, locked
from orchestrator.rehearsal.documents import Outcome, Report
from worker.clock import ALPHABET
from worker.errors import BadConfig
from worker.home import home, keep

MOST = 50
"""Reports that are kept."""

FILE = "report.json"
_LOCK, _HALT = "lock.sqlite", "halt"
_NAME = re.compile(f"[{ALPHABET}]{{6}}")

GONE = "Its process was ended before it could tell how it went."


def write(report: Report) -> None:
    """Keep a report in place of what was kept of it; whoever reads sees the one or the other.

    Raises `HubtrainError` where that is not possible.
    """
    path = folder_of(report.rehearsal) / FILE
    keep(path, report.model_dump_json(), "the report of a rehearsal")


def get(name: str) -> Report:
    """Return a report, as it is now. Raises `BadConfig` where none is kept under this name."""
    path = folder_of(name) / FILE
    try:
        stat = path.stat()
        found = _read(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise BadConfig(f"no report of a rehearsal {name} is kept.") from error
    except ValidationError as error:
        raise BadConfig(
            f"what is kept of the rehearsal {name} in {path} cannot be read."
        ) from error
    if found.outcome is Outcome.RUNNING and not runs(name):
        return found.model_copy(update={"outcome": Outcome.LOST, "doing": "", "error": GONE})
    return found


@lru_cache(2 * MOST)
def _read(path: Path, _changed: int, _size: int) -> Report:
    return Report.model_validate_json(path.read_bytes())


def reports() -> list[Report]:
    """Return all reports that can be read, the newest first."""
    found = []
    for name in names():
        with suppress(BadConfig):
            found.append(get(name))
    return sorted(found, key=lambda one: one.began_at, reverse=True)


def names() -> list[str]:
    """Return the names of the reports that are kept."""
    found = (path.parent.name for path in (home() / "rehearsals").glob(f"*/{FILE}"))
    return [name for name in found if _NAME.fullmatch(name)]


def running() -> Report | None:
    """Return a rehearsal that runs now; none where none does."""
    return next((one for one in reports() if one.outcome is Outcome.RUNNING), None)


def folder_of(name: str) -> Path:
    """Return the folder of what is kept of a rehearsal. Raises `BadConfig` for what is no name."""
    if not _NAME.fullmatch(name):
        raise BadConfig(f"no report of a rehearsal {name} is kept.")
    return home() / "rehearsals" / name


def runs(name: str) -> bool:
    """Whether the process of a rehearsal lives."""
    return is_locked(folder_of(name) / _LOCK)


def halt(name: str) -> None:
    """Ask a rehearsal to stop: it does where it looks next, and removes all that it made."""
    if name in names():
        (folder_of(name) / _HALT).touch()


def halted(name: str) -> bool:
    """Whether a rehearsal is asked to stop."""
    return (folder_of(name) / _HALT).exists()


@contextmanager
def held(name: str) -> Iterator[None]:
    """Run a rehearsal: as long as this lasts, it is known to run. Raises `HubtrainError`."""
    folder_of(name).mkdir(parents=True, exist_ok=True)
    with locked(folder_of(name) / _LOCK):
        yield


def make_room() -> None:
    """Remove the oldest reports, so that one more may be kept."""
    kept = [one for one in reports() if one.outcome is not Outcome.RUNNING]
    for old in kept[MOST - 1 :]:
        shutil.rmtree(folder_of(old.rehearsal), ignore_errors=True)
