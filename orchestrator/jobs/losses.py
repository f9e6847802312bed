"""The losses of jobs for pictures as small as a word, read without the rest of their records."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_LOSSES = """
select json_extract(line, '$.step'), json_extract(line, '$.values.loss') from events
where job_id = ? and line like '%"loss"%' and json_extract(line, '$.values.loss') is not null
order by rowid
"""


def losses(folder: Path, job_id: str) -> list[tuple[float, float]]:
    """Return step and training loss of a job on record in `folder`; empty where there are none."""
    path = folder / "jobs.sqlite"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30.0)) as db:
            rows = db.execute(_LOSSES, (job_id,)).fetchall()
            return [(float(step), float(loss)) for step, loss in rows]
    except (sqlite3.Error, ValueError, TypeError):
        return []
