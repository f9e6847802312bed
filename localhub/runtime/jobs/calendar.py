"""Scheduled Jobs: kept, and started when they are due."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from localhub.runtime.jobs.cron import Schedule
from localhub.runtime.jobs.dispatcher import Dispatcher
from localhub.runtime.jobs.records import Job, Spec, new_id
from localhub.storage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS scheduled_jobs (
    id TEXT PRIMARY KEY, ns TEXT NOT NULL, record TEXT NOT NULL);
"""
LOOK = 1.0
"""Seconds between two looks at what is due."""


class Scheduled(BaseModel):
    """A Job and when it starts."""

    id: str = Field(default_factory=new_id)
    ns: str
    spec: Spec
    schedule: str
    suspend: bool = False
    concurrency: bool = False
    """Whether it may start while the last one still runs."""

    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    next_run: datetime
    last_job: str | None = None
    last_run: datetime | None = None


class Calendar:
    """All scheduled Jobs of a Hub, and the thread that starts them."""

    def __init__(self, store: Store, jobs: Dispatcher) -> None:
        self.store = store
        self.jobs = jobs
        self.store.add_schema(SCHEMA)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._keep, name="scheduled-jobs", daemon=True)

    def get(self, number: str) -> Scheduled | None:
        """Return a scheduled Job by its id."""
        row = (
            self.store.db()
            .execute("SELECT record FROM scheduled_jobs WHERE id=?", (number,))
            .fetchone()
        )
        return Scheduled.model_validate_json(row["record"]) if row else None

    def every(self) -> list[Scheduled]:
        """Return all of them, the newest first."""
        rows = self.store.db().execute("SELECT record FROM scheduled_jobs ORDER BY rowid DESC")
        return [Scheduled.model_validate_json(row["record"]) for row in rows]

    def put(self, one: Scheduled) -> Scheduled:
        """Keep a scheduled Job."""
        record = one.model_dump_json()
        with self.store.write() as db:
            db.execute(
                "INSERT INTO scheduled_jobs VALUES (?,?,?) ON CONFLICT (id) DO UPDATE SET record=?",
                (one.id, one.ns, record, record),
            )
        return one

    def drop(self, number: str) -> None:
        """Forget a scheduled Job; those it started go on."""
        with self.store.write() as db:
            db.execute("DELETE FROM scheduled_jobs WHERE id=?", (number,))

    def start(self, one: Scheduled) -> Job:
        """Start it now, and note that."""
        job = self.jobs.submit(one.ns, one.spec, {"type": "scheduled-job", "id": one.id})
        self.put(one.model_copy(update={"last_job": job.id, "last_run": job.created}))
        return job

    def _keep(self) -> None:
        while not self.ended.wait(LOOK):
            try:
                self._start_due(datetime.now(UTC))
            except Exception:
                logging.getLogger(__name__).exception("scheduled jobs")

    def _start_due(self, now: datetime) -> None:
        for one in self.every():
            if one.suspend or one.next_run > now:
                continue
            later = {"next_run": Schedule(one.schedule).after(now)}
            due = self.put(one.model_copy(update=later))
            if due.concurrency or not self._at_work(due):
                self.start(due)

    def _at_work(self, one: Scheduled) -> bool:
        last = self.jobs.records.get(one.last_job) if one.last_job else None
        return last is not None and not last.stage.final
