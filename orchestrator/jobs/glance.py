"""Jobs at a glance: what lists and the ledger show of each, kept so that 10,000 are read at once.

What is kept follows from the events of a job and cannot contradict them: whoever changes a job or
its events, with whichever version of this program, takes it away in the same moment (`TRIGGERS`),
and what another version made of the events is not read (`VERSION`). It may be lost at any time.

Needs the standard library alone: a list is shown without loading what a job is made of.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from sys import intern

import worker
from worker.home import RECORDS_FILE

TABLE = """
create table if not exists glances (
    job_id text primary key references jobs (job_id) on delete cascade,
    version text not null,
    glance text not null
)
"""
TRIGGERS = tuple(
    f"create trigger if not exists glances_{change.replace(' ', '_')} after {change}"
    f" begin delete from glances where job_id = {row}.job_id; end"
    for change, row in (
        ("insert on events", "new"),
        ("update on events", "new"),
        ("delete on events", "old"),
        ("update on jobs", "new"),
    )
)
_SEEN = """
select glances.glance from jobs
left join glances on glances.job_id = jobs.job_id and glances.version = ?
order by jobs.rowid desc
"""
TIMES = ("created_at", "started_at", "ended_at", "billed_until", "as_of")
_SHARED = ("project", "task", "trainer", "backend", "flavor", "hub", "state", "reason", "watched")
"""What many jobs say in the same words: each word is held once."""

AT_ONCE = 500
"""Jobs that are read in one piece: of more, what is read would take more than what is kept."""


@dataclass(frozen=True, slots=True)
class Glance:
    """One job as a list shows it; times are in UTC."""

    job_id: str
    project: str
    task: str
    trainer: str | None
    backend: str
    flavor: str | None
    hub: str
    handle: str | None
    state: str
    reason: str | None
    final: bool
    settled: bool
    """Whether nothing more can be learnt of it (`Record.settled`)."""

    costing: bool | None
    cancelling: bool
    step: int | None
    total_steps: int | None
    watched: str | None
    """What is measured of it that tells most (`Task.watched`)."""

    value: float | None
    """The newest value of that."""

    usd_per_hour: float
    usd_cap: float | None
    """What its limits let it cost at most; none where they are no bound."""

    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    billed_until: datetime | None
    """Until when it is known to have cost; none while that goes on."""

    as_of: datetime | None
    """Since when what is known of it has not been confirmed (`Record.as_of`)."""

    usd_expected: float | None
    """What it was expected to cost, told before it ran; none where nothing was told."""

    usd_high: float | None
    minutes_expected: float | None
    plain_minutes: float | None
    """Minutes that were expected before earlier runs corrected them."""

    parameters: float
    resumable: bool
    """Whether it left a checkpoint that can be gone on from (`checkpoint_of`)."""

    resumes: list[str]
    """The jobs whose training it goes on with."""

    sweep: str | None = None
    """The sweep that it is a trial of; none for a job by itself."""

    unanswered: str = ""
    """Why its provider could not be asked just now (`Record.unanswered`)."""

    @property
    def kind(self) -> str:
        """The task, with its trainer where it has several: `llm sft`."""
        return f"{self.task} {self.trainer}" if self.trainer else self.task

    def known_at(self, now: datetime) -> datetime:
        """Return the time for which it is true what is said of it (`Record.known_at`)."""
        return (self.as_of or now) if self.unanswered else now

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the job was made."""
        return now - (self.created_at or now)

    def seconds(self, now: datetime) -> float:
        """Return how long its worker has run, or ran, in seconds."""
        if self.started_at is None:
            return 0.0
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())

    def usd(self, now: datetime) -> float:
        """Return what it has cost (`Story.cost`)."""
        if self.started_at is None:
            return 0.0
        seconds = ((self.billed_until or now) - self.started_at).total_seconds()
        return max(0.0, seconds) / 3600 * self.usd_per_hour

    def to_line(self) -> str:
        """Return it as a line of JSON, without what is of this moment alone."""
        kept = astuple(replace(self, unanswered=""))
        return json.dumps([v.isoformat() if isinstance(v, datetime) else v for v in kept])


_TIME_PLACES = [place for place, f in enumerate(fields(Glance)) if f.name in TIMES]
_SHARED_PLACES = [place for place, f in enumerate(fields(Glance)) if f.name in _SHARED]


def kept(folder: Path) -> list[Glance] | None:
    """Return all jobs on record in `folder`, newest first, at the cost of reading them.

    None where that is not enough: of some of them nothing is kept, or there is no file yet.
    """
    path = folder / RECORDS_FILE
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30.0)) as db:
            return glances(db)
    except sqlite3.Error:
        return None


def any_deployment(folder: Path) -> bool:
    """Whether a model was ever deployed from here and is still on record."""
    path = folder / RECORDS_FILE
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30.0)) as db:
            return db.execute("select 1 from deployments limit 1").fetchone() is not None
    except sqlite3.Error:
        return False


def glances(db: sqlite3.Connection) -> list[Glance] | None:
    """Return all jobs, newest first; none where of some nothing is kept that can be read."""
    rows, found = db.execute(_SEEN, (version(),)), list[Glance]()
    try:
        while lines := [line for (line,) in rows.fetchmany(AT_ONCE)]:
            if None in lines:
                return None
            found += _parsed(lines)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return found


def forget(db: sqlite3.Connection) -> None:
    """Throw away all that is kept."""
    db.execute("delete from glances")


def keep(db: sqlite3.Connection, glance: Glance) -> None:
    """Keep what is seen of a job, in the transaction in which its events were read."""
    row = (glance.job_id, version(), glance.to_line())
    db.execute("insert or replace into glances values (?, ?, ?)", row)


def lacking(db: sqlite3.Connection) -> list[str]:
    """Return the jobs of which nothing is kept."""
    ask = (
        "select job_id from jobs where job_id not in (select job_id from glances where version = ?)"
    )
    return [str(row[0]) for row in db.execute(ask, (version(),))]


@cache
def version() -> str:
    """Return what tells apart the versions of the code that a glance follows from."""
    story = Path(next(iter(worker.__path__))) / "contract" / "story.py"
    here = Path(__file__)
    beside = map(here.with_name, ("seen.py", "resumable.py"))
    texts = [path.read_bytes() for path in (story, here, *beside)]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]


def _parsed(lines: list[str]) -> Iterator[Glance]:
    for values in json.loads(f"[{','.join(lines)}]"):
        for place in _TIME_PLACES:
            if values[place] is not None:
                values[place] = datetime.fromisoformat(values[place])
        for place in _SHARED_PLACES:
            if values[place] is not None:
                values[place] = intern(values[place])
        yield Glance(*values)
