"""Scheduled Jobs: stored, listed, and started when they are due."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from starlette.routing import BaseRoute, Route

from localhub.call import Answer, Call, Handler, endpoint
from localhub.clock import stamp
from localhub.errors import Refusal, bad_request
from localhub.jobs.api import checked_spec, may_run, may_see, owner, told
from localhub.jobs.cron import Schedule
from localhub.jobs.records import Job, Spec, new_id
from localhub.store import Store

if TYPE_CHECKING:
    from localhub.hub import Hub

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

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.store: Store = hub.store
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
        job = self.hub.jobs.submit(one.ns, one.spec, {"type": "scheduled-job", "id": one.id})
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
        last = self.hub.jobs.records.get(one.last_job) if one.last_job else None
        return last is not None and not last.stage.final


def routes(calendar: Calendar) -> list[BaseRoute]:
    """Return the paths of this room."""

    def at(path: str, method: str, handler: Handler) -> Route:
        where = f"/api/scheduled-jobs/{{ns}}{path}"
        return Route(where, endpoint(calendar.hub, handler), methods=[method])

    def change(act: Any) -> Handler:
        def handler(call: Call) -> Answer:
            one = _one(calendar, call)
            return shown(call.hub, calendar.put(one.model_copy(update=act(call, one))))

        return handler

    return [
        at("", "POST", lambda call: _create(calendar, call)),
        at("", "GET", lambda call: _list(calendar, call)),
        at("/{id}", "GET", lambda call: shown(call.hub, _one(calendar, call))),
        at("/{id}", "DELETE", lambda call: calendar.drop(_one(calendar, call).id)),
        at("/{id}/suspend", "POST", change(lambda *_: {"suspend": True})),
        at("/{id}/resume", "POST", change(_resume)),
        at("/{id}/schedule", "POST", change(lambda call, _: _next(call.json().get("schedule")))),
        at("/{id}/labels", "PUT", change(_labels)),
        at("/{id}/run", "POST", lambda call: _run(calendar, call)),
    ]


def shown(hub: Hub, one: Scheduled) -> dict[str, Any]:
    """Return a scheduled Job as the API tells it."""
    last = {"id": one.last_job, "at": stamp(one.last_run)} if one.last_run else None
    return {
        "id": one.id,
        "createdAt": stamp(one.created),
        "jobSpec": one.spec.shown(),
        "schedule": one.schedule,
        "suspend": one.suspend,
        "concurrency": one.concurrency,
        "status": {
            "lastJob": last,
            "nextJobRunAt": None if one.suspend else stamp(one.next_run),
        },
        "owner": owner(hub, one.ns),
    }


def _next(schedule: object) -> dict[str, Any]:
    """Return the fields that a schedule sets, or refuse it."""
    try:
        return {
            "schedule": str(schedule),
            "next_run": Schedule(str(schedule)).after(datetime.now(UTC)),
        }
    except ValueError as error:
        raise bad_request(str(error)) from error


def _one(calendar: Calendar, call: Call) -> Scheduled:
    ns = may_see(call) if call.request.method == "GET" else may_run(call)
    one = calendar.get(call.param("id"))
    if one is None or one.ns != ns:
        raise Refusal(HTTPStatus.NOT_FOUND, "Scheduled job not found")
    return one


def _create(calendar: Calendar, call: Call) -> Answer:
    ns = may_run(call)
    body = call.json()
    one = Scheduled(
        ns=ns,
        spec=checked_spec(call, body.get("jobSpec")),
        suspend=bool(body.get("suspend")),
        concurrency=bool(body.get("concurrency")),
        **_next(body.get("schedule")),
    )
    return shown(call.hub, calendar.put(one))


def _list(calendar: Calendar, call: Call) -> Answer:
    ns = may_see(call)
    labels = dict(one.split("=", 1) for one in call.request.query_params.getlist("label"))
    return [
        shown(call.hub, one)
        for one in calendar.every()
        if one.ns == ns and labels.items() <= one.spec.labels.items()
    ]


def _resume(_: Call, one: Scheduled) -> dict[str, Any]:
    return {"suspend": False, **_next(one.schedule)}


def _labels(call: Call, one: Scheduled) -> dict[str, Any]:
    labels = call.json().get("labels")
    if not isinstance(labels, dict):
        raise bad_request('"labels" must be an object')
    return {"spec": one.spec.model_copy(update={"labels": labels})}


def _run(calendar: Calendar, call: Call) -> Answer:
    return told(call.hub, calendar.start(_one(calendar, call)))
