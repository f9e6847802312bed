"""A little of a job's record, read without the rest of it, for lists that show many.

`folder` is where the records are. Nothing is written, and what cannot be read is empty.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from worker.home import RECORDS_FILE

_LOSSES = """
select json_extract(line, '$.step'), json_extract(line, '$.values.loss') from events
where job_id = ? and line like '%"loss"%' and json_extract(line, '$.values.loss') is not null
order by rowid
"""
_VERSION = "select count(*), max(rowid) from events where job_id = ?"


def losses(folder: Path, job_id: str) -> list[tuple[float, float]]:
    """Return step and training loss of a job."""
    try:
        return [(float(step), float(loss)) for step, loss in _read(folder, _LOSSES, job_id)]
    except (ValueError, TypeError):
        return []


def version(folder: Path, job_id: str) -> tuple[Any, ...]:
    """Return what is another value once a job has another event."""
    return tuple(_read(folder, _VERSION, job_id))


def _read(folder: Path, ask: str, job_id: str) -> list[Any]:
    path = folder / RECORDS_FILE
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30.0)) as db:
            return db.execute(ask, (job_id,)).fetchall()
    except sqlite3.Error:
        return []
