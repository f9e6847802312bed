"""What this laptop knows of its jobs: specs and events in SQLite.

State is a fold over the events. What is kept of it for lists (`orchestrator.jobs.glance`) goes with
the first event that could change it. Several processes may write at once; the
same worker event read twice counts once, by its source and number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from orchestrator.forecast import Forecast
from orchestrator.jobs import glance, spent
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.record import Record
from orchestrator.jobs.seen import glance_of
from worker.contract import (
    ENDINGS,
    Created,
    Event,
    JobSpec,
    Launched,
    Observed,
    State,
    from_line,
    to_line,
)
from worker.errors import BadConfig, HubtrainError
from worker.home import RECORDS_FILE, make_private
from worker.hubclient import endpoint

__all__ = ["LATEST", "Record", "Records"]

_JOBS_TABLE = """
create table if not exists jobs (
    job_id text primary key,
    fingerprint text not null,
    spec text not null,
    hub text not null default '',
    asked_at text,
    forecast text,
    removing integer not null default 0
)
"""
_EVENTS_TABLE = """
create table if not exists events (
    job_id text not null references jobs (job_id) on delete cascade,
    source text not null,
    seq integer not null,
    line text not null,
    primary key (job_id, source, seq)
)
"""


_ADDED = {
    "hub": "text not null default ''",
    "asked_at": "text",
    "forecast": "text",
    "removing": "integer not null default 0",
}
"""Columns that a file written by an earlier version lacks."""

LATEST = "latest"
"""What users may write for the job that was made last."""

_NAMED = (
    f"?1 = '{LATEST}' or substr(job_id, 1, length(?1)) = ?1 or json_extract(spec, '$.project') = ?1"
)

_JOBS = "select spec, hub, asked_at, forecast from jobs"


def _on_disk(error: Exception) -> str:
    """Return what is wrong with the file: SQLite tells a full disk by several codes."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the details of extended codes
    full = code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
    return f"the disk is full or cannot be written ({error})" if full else str(error)


class Records:
    """The jobs of this laptop, in `folder/jobs.sqlite`. A disk that fails is a `HubtrainError`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORDS_FILE
        with self.opened() as db:
            db.execute(_JOBS_TABLE)
            for name in sorted(_ADDED.keys() - _columns(db, "jobs")):
                db.execute(f"alter table jobs add column {name} {_ADDED[name]}")
            if "attempt" in _columns(db, "events"):
                _leave_out_attempts(db)
            db.execute(_EVENTS_TABLE)
            for statement in (glance.TABLE, *glance.TRIGGERS, spent.TABLE):
                db.execute(statement)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Yield the file, which nobody else writes meanwhile; an error undoes what was written."""
        try:
            make_private(self._path.parent)
            with closing(sqlite3.connect(self._path, timeout=30.0, isolation_level=None)) as db:
                db.execute("pragma journal_mode = wal")
                db.execute("pragma foreign_keys = on")
                db.execute("begin immediate")
                yield db
                db.commit()
        except (OSError, sqlite3.Error) as error:
            raise HubtrainError(
                f"cannot keep records in {self._path.parent}: {_on_disk(error)}",
                fix="Make room there, or set HUBTRAIN_HOME to another folder.",
            ) from error

    def claim(
        self,
        fingerprint: str,
        new: Callable[[], JobSpec],
        now: datetime,
        forecast: Forecast | None = None,
        ended: Collection[str] | None = None,
        *,
        admit: Callable[[list[Glance]], None] = lambda jobs: None,
    ) -> Record:
        """Return the job asked for in just these words that has not ended, or write down a new one.

        One transaction: of two processes that ask at once, one makes the job and both get it. From
        here on `gc` finds it, whatever happens to this process. `ended`: jobs that had ended when
        this one was checked; one that has succeeded since then is returned, too. `admit` is told
        all jobs, those on record no more that have cost something among them, before a new one is
        written down, and what it raises keeps that out. Raises `BadConfig` where the job is to
        begin on the disk of one that is being removed.
        """
        with self.opened() as db:
            if known := _open_one(db, fingerprint, ended):
                return known
            admit([*self._glances(db), *spent.removed(db)])
            spec = new()
            _refuse_removed(db, spec)
            told = forecast.to_json() if forecast else None
            _insert_job(db, spec, fingerprint, told)
            _insert(db, spec.job_id, Created(job_id=spec.job_id, at=now, source="laptop"))
            return _record(db, spec.model_dump_json(), endpoint(), None, told)

    def open_one(self, fingerprint: str) -> Record | None:
        """Return the job asked for in just these words that has not ended; none if none is."""
        with self.opened() as db:
            return _open_one(db, fingerprint)

    def adopt(self, spec: JobSpec, handle: str, now: datetime) -> Record:
        """Write down a job that another laptop launched, and return it; known jobs stay."""
        created = Created(job_id=spec.job_id, at=now, source="laptop")
        self.write([(spec, [created, Launched(handle=handle, at=now, source="laptop")])])
        return self.get(spec.job_id)

    def write(self, jobs: Iterable[tuple[JobSpec, Iterable[Event]]]) -> None:
        """Write down whole jobs, with all their events, in one transaction; known jobs stay."""
        with self.opened() as db:
            for spec, events in jobs:
                if _insert_job(db, spec, ""):
                    for event in events:
                        _insert(db, spec.job_id, event)

    def add(self, job_id: str, events: Iterable[Event]) -> list[Event]:
        """Write events down and return those that were new, numbered where they had no number.

        Raises `BadConfig` if the job has been removed meanwhile.
        """
        with self.opened() as db:
            if db.execute("select 1 from jobs where job_id = ?", (job_id,)).fetchone() is None:
                raise _no_such_job(job_id, [])
            added = [new for event in events if (new := _insert(db, job_id, event))]
            if any(isinstance(event, (*ENDINGS, Observed)) for event in added):
                self._keep(db, [job_id])
            return added

    def get(self, job_id: str) -> Record:
        """Return a job by its id, the start of it, its project's name, or as `latest`.

        Raises `BadConfig` if there is no such one, or several.
        """
        ids = self.ids(job_id)
        if job_id == LATEST:
            ids = ids[:1]
        if not ids and (trials := self.of_sweep(job_id)):
            raise _a_sweep(job_id, trials)
        if not job_id or len(ids) != 1:  # an empty name is a mistake, not the start of all
            raise _no_such_job(job_id, ids)
        with self.opened() as db:
            return _record(db, *db.execute(f"{_JOBS} where job_id = ?", ids).fetchone())

    def ids(self, name: str) -> list[str]:
        """Return the jobs of this id, the start of an id or a project's name, newest first."""
        with self.opened() as db:
            found = db.execute(
                f"select job_id from jobs where {_NAMED} order by rowid desc", (_text(name),)
            ).fetchall()
        ids = [str(row[0]) for row in found]
        return [known for known in ids if known == name] or ids

    def asked(self, job_id: str, now: datetime) -> None:
        """Note that the job's provider has answered."""
        with self.opened() as db:
            row = (now.isoformat(), job_id)
            db.execute("update jobs set asked_at = ? where job_id = ?", row)

    def fingerprint(self, job_id: str) -> str | None:
        """Return what the job was asked for by; none if there is no such job."""
        with self.opened() as db:
            ask = "select fingerprint from jobs where job_id = ?"
            row = db.execute(ask, (job_id,)).fetchone()
            return str(row[0]) if row else None

    def all(self) -> list[Record]:
        """Return every job, newest first."""
        with self.opened() as db:
            rows = db.execute(f"{_JOBS} order by rowid desc").fetchall()
            return [_record(db, *row) for row in rows]

    def unfinished(self) -> list[Record]:
        """Return the jobs of which something may still be learnt, newest first."""
        return [self.get(one.job_id) for one in self.glances() if not one.settled]

    def find(self, job_id: str) -> Record | None:
        """Return the job of just this id; none if there is no such one."""
        with self.opened() as db:
            row = db.execute(f"{_JOBS} where job_id = ?", (_text(job_id),)).fetchone()
            return _record(db, *row) if row else None

    def continuing(self, job_id: str) -> list[Record]:
        """Return the jobs that go on with the training of this one, newest first."""
        with self.opened() as db:
            return _continuing(db, job_id)

    def of_sweep(self, name: str) -> list[Record]:
        """Return the jobs of a sweep, newest first."""
        of_it = "json_extract(spec, '$.trial.sweep') = ?"
        with self.opened() as db:
            named = (_text(name),)
            rows = db.execute(f"{_JOBS} where {of_it} order by rowid desc", named).fetchall()
            return [_record(db, *row) for row in rows]

    def glances(self) -> list[Glance]:
        """Return every job at a glance, newest first; what was not kept of them is kept now."""
        with self.opened() as db:
            return self._glances(db)

    def spent(self) -> list[Glance]:
        """Return the jobs that have cost something and were removed, newest first."""
        with self.opened() as db:
            return spent.removed(db)

    def _glances(self, db: sqlite3.Connection) -> list[Glance]:
        self._keep(db, glance.lacking(db))
        found = glance.glances(db)
        if found is None:  # what was kept cannot be read any more
            glance.forget(db)
            self._keep(db, glance.lacking(db))
            found = glance.glances(db)
        return found or []

    def _keep(self, db: sqlite3.Connection, jobs: list[str]) -> None:
        for job_id in jobs:
            row = db.execute(f"{_JOBS} where job_id = ?", (job_id,)).fetchone()
            glance.keep(db, glance_of(_record(db, *row)))

    def begin_removal(self, job_id: str) -> None:
        """Note that what the job left is being deleted: from here on no job begins on its disk.

        Raises `BadConfig` where one on record has still to do so.
        """
        with self.opened() as db:
            if waiting := next((r for r in _continuing(db, job_id) if r.awaits(job_id)), None):
                raise BadConfig(
                    f"{waiting.job_id} goes on from the checkpoint of {job_id}, and has left none"
                    " of its own yet.",
                    fix=f"Remove it first: hubtrain rm --force {waiting.job_id}; or wait.",
                )
            db.execute("update jobs set removing = 1 where job_id = ?", (job_id,))

    def being_removed(self) -> list[str]:
        """Return the jobs whose removal has begun and is not over, newest first."""
        with self.opened() as db:
            ask = "select job_id from jobs where removing order by rowid desc"
            return [str(row[0]) for row in db.execute(ask)]

    def remove(self, job_id: str, now: datetime) -> None:
        """Forget the job but for what it has cost. One that is not there is not an error."""
        with self.opened() as db:
            if row := db.execute(f"{_JOBS} where job_id = ?", (job_id,)).fetchone():
                spent.keep(db, glance_of(_record(db, *row)), now)
            for one in _continuing(db, job_id):  # whether it can be resumed may be other now
                db.execute("delete from glances where job_id = ?", (one.job_id,))
            db.execute("delete from jobs where job_id = ?", (job_id,))


def _open_one(
    db: sqlite3.Connection, fingerprint: str, ended: Collection[str] | None = None
) -> Record | None:
    ask = f"{_JOBS} where fingerprint = ? order by rowid desc"
    for row in db.execute(ask, (fingerprint,)).fetchall():
        known = _record(db, *row)
        state = known.story.state
        done = state is State.SUCCEEDED and ended is not None and known.job_id not in ended
        if (done or not state.final) and known.hub in {"", endpoint()}:
            return known
    return None


def _continuing(db: sqlite3.Connection, job_id: str) -> list[Record]:
    begun = "exists (select 1 from json_each(spec, '$.start.jobs') where value = ?)"
    rows = db.execute(f"{_JOBS} where {begun} order by rowid desc", (job_id,)).fetchall()
    return [_record(db, *row) for row in rows]


def _refuse_removed(db: sqlite3.Connection, spec: JobSpec) -> None:
    """Raise `BadConfig` where the disk that a job is to begin on is being cleared, or has been."""
    start = spec.start
    if start is None or start.folder is None:
        return
    going = {str(row[0]) for row in db.execute("select job_id from jobs where removing")}
    if any(map(start.lies_with, going)) or not Path(start.folder).exists():
        raise BadConfig(
            f"the checkpoint of {start.jobs[-1]} is being removed with its job, or has been.",
            fix="Run the job's command again: it begins at the first step.",
        )


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns; none if there is no such table."""
    return {str(row[1]) for row in db.execute(f"pragma table_info({table})")}


def _leave_out_attempts(db: sqlite3.Connection) -> None:
    """Bring events over from a file of an earlier version, which counted attempts, all 1."""
    db.execute("alter table events rename to events_by_attempt")
    db.execute(_EVENTS_TABLE)
    db.execute(
        "insert or ignore into events"
        " select job_id, source, seq, line from events_by_attempt order by rowid"
    )
    db.execute("drop table events_by_attempt")


def _insert(db: sqlite3.Connection, job_id: str, event: Event) -> Event | None:
    if event.seq == 0:
        key = (job_id, event.source)
        (last,) = db.execute(
            "select coalesce(max(seq), 0) from events where job_id = ? and source = ?", key
        ).fetchone()
        event = event.model_copy(update={"seq": last + 1})
    row = (job_id, event.source, event.seq, to_line(event))
    done = db.execute("insert or ignore into events values (?, ?, ?, ?)", row)
    return event if done.rowcount else None


def _insert_job(
    db: sqlite3.Connection, spec: JobSpec, fingerprint: str, forecast: str | None = None
) -> bool:
    """Write a job down and return whether it was new."""
    row = (spec.job_id, fingerprint, spec.model_dump_json(), endpoint(), forecast)
    columns = "job_id, fingerprint, spec, hub, forecast"
    ask = f"insert or ignore into jobs ({columns}) values (?, ?, ?, ?, ?)"
    return bool(db.execute(ask, row).rowcount)


def _text(name: str) -> str:
    """Return a name as the file can be asked for it: one with halves of characters is nobody's."""
    return name.encode("utf-8", "replace").decode()


def _record(
    db: sqlite3.Connection, spec: str, hub: str, asked_at: str | None, forecast: str | None
) -> Record:
    from backends.base import spec_in

    parsed = spec_in(spec, "the records")
    lines = db.execute("select line from events where job_id = ? order by rowid", (parsed.job_id,))
    events = (from_line(line) for (line,) in lines)
    known = tuple(e for e in events if e is not None)
    return Record(parsed, known, str(hub), _time(asked_at), _forecast(forecast))


def _time(text: str | None) -> datetime | None:
    """Return a time; none of what is none any more on a disk that failed."""
    try:
        return datetime.fromisoformat(text) if text else None
    except (ValueError, TypeError):
        return None


def _forecast(text: str | None) -> Forecast | None:
    try:
        return Forecast.from_json(text) if text else None
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _a_sweep(name: str, trials: list[Record]) -> BadConfig:
    return BadConfig(
        f"{name} is a sweep of {len(trials)} trials, and this is about one job.",
        fix=f"Type one of them, such as {trials[0].spec.project};"
        f" hubtrain sweep --resume {name} shows all.",
    )


def _no_such_job(job_id: str, several: list[str]) -> BadConfig:
    if several:
        return BadConfig(
            f"{job_id!r} could be {', '.join(several)}.",
            fix="Type one of these; `hubtrain jobs` shows them.",
        )
    return BadConfig(f"no job {job_id!r} on this machine.", fix="hubtrain jobs lists them.")
