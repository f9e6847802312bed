"""What this laptop knows of its jobs: specs and events in SQLite, and nothing derived from them.

State is a fold over the events and is stored nowhere. Several processes may write at once; the
same worker event read twice counts once, by its source, attempt and number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from worker.contract import (
    ENDINGS,
    Created,
    Event,
    JobSpec,
    Launched,
    Story,
    fold,
    from_line,
    to_line,
)
from worker.errors import BadConfig, HubtrainError

_SCHEMA = """
create table if not exists jobs (
    job_id text primary key,
    fingerprint text not null,
    spec text not null
);
create table if not exists events (
    job_id text not null references jobs (job_id) on delete cascade,
    source text not null,
    attempt integer not null,
    seq integer not null,
    line text not null,
    primary key (job_id, source, attempt, seq)
);
"""


@dataclass(frozen=True)
class Record:
    """One job as this laptop knows it."""

    spec: JobSpec
    events: tuple[Event, ...]

    @property
    def job_id(self) -> str:
        return self.spec.job_id

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the job was made."""
        return now - (self.story.created_at or now)

    @property
    def ended(self) -> bool:
        """Whether somebody who knows has said how the job ended."""
        return any(isinstance(event, ENDINGS) for event in self.events)

    @cached_property
    def story(self) -> Story:
        """What the events add up to."""
        return fold(self.events)


class Records:
    """The jobs of this laptop, in `folder/jobs.sqlite`. A disk that fails is a `HubtrainError`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "jobs.sqlite"
        with self._open() as db:
            db.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=30.0, isolation_level=None)) as db:
                db.execute("pragma journal_mode = wal")
                db.execute("pragma foreign_keys = on")
                db.execute("begin immediate")
                yield db
                db.commit()
        except (OSError, sqlite3.Error) as error:
            raise HubtrainError(
                f"cannot keep records in {self._path.parent}: {error}",
                fix="Make room there, or set HUBTRAIN_HOME to another folder.",
            ) from error

    def claim(self, fingerprint: str, new: Callable[[], JobSpec], now: datetime) -> Record:
        """Return the job asked for in just these words that has not ended, or write down a new one.

        One transaction: of two processes that ask at once, one makes the job and both get it. From
        here on `gc` finds it, whatever happens to this process.
        """
        with self._open() as db:
            rows = db.execute(
                "select spec from jobs where fingerprint = ? order by rowid desc", (fingerprint,)
            ).fetchall()
            for (text,) in rows:
                if not (record := _record(db, text)).story.state.final:
                    return record
            spec = new()
            text = spec.model_dump_json()
            db.execute("insert into jobs values (?, ?, ?)", (spec.job_id, fingerprint, text))
            _insert(db, spec.job_id, Created(job_id=spec.job_id, at=now, source="laptop"))
            return _record(db, text)

    def adopt(self, spec: JobSpec, handle: str, now: datetime) -> Record:
        """Write down a job that another laptop launched, and return it; known jobs stay."""
        with self._open() as db:
            row = (spec.job_id, "", spec.model_dump_json())
            if db.execute("insert or ignore into jobs values (?, ?, ?)", row).rowcount:
                _insert(db, spec.job_id, Created(job_id=spec.job_id, at=now, source="laptop"))
                _insert(db, spec.job_id, Launched(handle=handle, at=now, source="laptop"))
        return self.get(spec.job_id)

    def add(self, job_id: str, events: Iterable[Event]) -> list[Event]:
        """Write events down and return those that were new, numbered where they had no number.

        Raises `BadConfig` if the job has been removed meanwhile.
        """
        with self._open() as db:
            if db.execute("select 1 from jobs where job_id = ?", (job_id,)).fetchone() is None:
                raise _no_such_job(job_id, [])
            return [new for event in events if (new := _insert(db, job_id, event))]

    def get(self, job_id: str) -> Record:
        """Return a job by its id or the start of it; raises `BadConfig` if there is no such one."""
        with self._open() as db:
            found = db.execute(
                "select job_id, spec from jobs where substr(job_id, 1, length(?1)) = ?1", (job_id,)
            ).fetchall()
            exact = [row for row in found if row[0] == job_id] or found
            if not job_id or len(exact) != 1:  # an empty name is a mistake, not the start of all
                raise _no_such_job(job_id, [row[0] for row in found])
            return _record(db, exact[0][1])

    def fingerprint(self, job_id: str) -> str | None:
        """Return what the job was asked for by; none if there is no such job."""
        with self._open() as db:
            ask = "select fingerprint from jobs where job_id = ?"
            row = db.execute(ask, (job_id,)).fetchone()
            return str(row[0]) if row else None

    def all(self) -> list[Record]:
        """Return every job, newest first."""
        with self._open() as db:
            rows = db.execute("select spec from jobs order by rowid desc").fetchall()
            return [_record(db, spec) for (spec,) in rows]

    def remove(self, job_id: str) -> None:
        """Forget the job. One that is not there is not an error."""
        with self._open() as db:
            db.execute("delete from jobs where job_id = ?", (job_id,))


def _insert(db: sqlite3.Connection, job_id: str, event: Event) -> Event | None:
    if event.seq == 0:
        key = (job_id, event.source, event.attempt)
        (last,) = db.execute(
            "select coalesce(max(seq), 0) from events"
            " where job_id = ? and source = ? and attempt = ?",
            key,
        ).fetchone()
        event = event.model_copy(update={"seq": last + 1})
    row = (job_id, event.source, event.attempt, event.seq, to_line(event))
    done = db.execute("insert or ignore into events values (?, ?, ?, ?, ?)", row)
    return event if done.rowcount else None


def _record(db: sqlite3.Connection, spec: str) -> Record:
    from backends.base import spec_in

    parsed = spec_in(spec, "the records")
    lines = db.execute("select line from events where job_id = ? order by rowid", (parsed.job_id,))
    events = (from_line(line) for (line,) in lines)
    return Record(parsed, tuple(e for e in events if e is not None))


def _no_such_job(job_id: str, several: list[str]) -> BadConfig:
    if several:
        return BadConfig(f"{job_id!r} could be {', '.join(several)}.", fix="Type more of it.")
    return BadConfig(f"no job {job_id!r} on this machine.", fix="hubtrain jobs lists them.")
