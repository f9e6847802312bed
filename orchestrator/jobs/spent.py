"""What jobs have cost whose records were removed: money that was spent stays spent.

Kept is what the ledger tells of a job, by name, so that another version reads it too: no settings,
no events. A job that is on record again is not among them.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import datetime

from orchestrator.jobs.glance import TIMES, Glance

TABLE = """
create table if not exists spent (
    job_id text primary key,
    told text not null
)
"""
_GONE = "select told from spent where job_id not in (select job_id from jobs) order by rowid desc"


def keep(db: sqlite3.Connection, job: Glance, now: datetime) -> None:
    """Keep what a job has cost that is removed now, one that costs no longer than until now."""
    if not job.usd(now):
        return
    over = replace(
        job,
        handle=None,
        final=True,
        settled=True,
        costing=False,
        resumable=False,
        ended_at=job.ended_at or now,
        billed_until=job.billed_until or now,
    )
    told = json.dumps(asdict(over), default=datetime.isoformat)
    db.execute("insert or replace into spent values (?, ?)", (job.job_id, told))


def removed(db: sqlite3.Connection) -> list[Glance]:
    """Return the jobs that have cost something and are on record no more, newest first."""
    found = []
    for (text,) in db.execute(_GONE):
        with suppress(ValueError, TypeError, AttributeError):  # a disk that failed
            found.append(_glance(json.loads(text)))
    return found


def _glance(told: dict[str, object]) -> Glance:
    values = {one.name: told.get(one.name) for one in fields(Glance)}
    times = {name: datetime.fromisoformat(str(values[name])) for name in TIMES if values[name]}
    return Glance(**{**values, **times})  # type: ignore[arg-type]
