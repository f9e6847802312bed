"""Scheduled Jobs as clients ask for them: made, listed, changed, started by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.routing import BaseRoute, Route

from localhub.api.jobs.handlers import checked_spec, may_run, may_see, owner, told
from localhub.clock import stamp
from localhub.errors import Refusal, bad_request
from localhub.http.call import Answer, Call, Handler, endpoint
from localhub.hub import Hub
from localhub.runtime.jobs.calendar import Calendar, Scheduled
from localhub.runtime.jobs.cron import Schedule


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the paths of scheduled Jobs."""
    calendar = hub.calendar

    def at(path: str, method: str, handler: Handler) -> Route:
        where = f"/api/scheduled-jobs/{{ns}}{path}"
        return Route(where, endpoint(hub, handler), methods=[method])

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
