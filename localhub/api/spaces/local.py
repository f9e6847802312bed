"""Endpoints of this Hub alone: the bills, and the conditions under which its machines run.

Both need the admin token. `GET /_local/bills`; `PUT /_local/machines` takes any
fields of `Conditions` and `{"credits": {"ann": false}}`, and answers with the conditions.
"""

from __future__ import annotations

import dataclasses

from starlette.routing import BaseRoute, Route

from localhub.errors import bad_request
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the paths of this room."""
    return [
        Route("/_local/bills", endpoint(hub, _bills, admin=True), methods=["GET"]),
        Route("/_local/machines", endpoint(hub, _machines, admin=True), methods=["PUT"]),
    ]


def _bills(call: Call) -> Answer:
    return call.hub.machines.meter.bills()


def _machines(call: Call) -> Answer:
    conditions = call.hub.machines.conditions
    fields = {field.name for field in dataclasses.fields(conditions)}
    for name, value in call.json().items():
        if name == "credits":
            for ns, able in dict(value).items():
                call.hub.machines.set_may_pay(ns, able)
        elif name in fields:
            kind = type(getattr(conditions, name))
            setattr(conditions, name, kind(value))
        else:
            raise bad_request(f"No condition is called {name!r}; there are: {sorted(fields)}")
    return dataclasses.asdict(conditions)
