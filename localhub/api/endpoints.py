"""The room of Inference Endpoints: their whole life, as the stock client asks for it.

They are at `/endpoints/v2`, where the real service has an address of its own. None computes: what
one would answer with is not there, only its health. Machines and prices are examples.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from localhub.clock import stamp
from localhub.errors import Refusal, bad_request, conflict, forbidden
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub

ROOT = "/endpoints/v2"
KINDS = ("public", "authenticated", "private")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
STARTING = ("pending", "initializing", "updating")
UPDATED = ("compute", "model", "route", "tags", "cacheHttpResponses")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS endpoints (
    ns TEXT NOT NULL, name TEXT NOT NULL, told TEXT NOT NULL, PRIMARY KEY (ns, name)
)
"""

_SIZES = (
    ("intel-spr", "cpu", "x2", "Intel Sapphire Rapids", 0, 2, 4, None, 0.067),
    ("intel-spr", "cpu", "x8", "Intel Sapphire Rapids", 0, 8, 16, None, 0.268),
    ("nvidia-t4", "gpu", "x1", "Nvidia T4", 1, 3, 15, 14, 0.5),
    ("nvidia-l4", "gpu", "x1", "Nvidia L4", 1, 7, 30, 24, 0.8),
    ("nvidia-a100", "gpu", "x1", "Nvidia A100", 1, 11, 145, 80, 2.5),
)
"""Machines in each region: type, accelerator, size, name, GPUs, CPUs, memory and GPU memory in GB,
dollars an hour."""

_REGIONS = {"aws": ("us-east-1", "eu-west-1")}


def routes(hub: Hub) -> list[BaseRoute]:
    """Return this room's paths."""
    hub.store.add_schema(_SCHEMA)

    def at(path: str, **methods: Any) -> list[BaseRoute]:
        return [Route(f"{ROOT}{path}", endpoint(hub, do), methods=[m]) for m, do in methods.items()]

    one = "/endpoint/{ns}/{name}"
    return [
        *at("/provider/{ns}", GET=_hardware),
        *at("/endpoint/{ns}", GET=_listed, POST=_create),
        *at(one, GET=_shown, PUT=_update, DELETE=_delete),
        *at(f"{one}/pause", POST=partial(_into, state="paused")),
        *at(f"{one}/scale-to-zero", POST=partial(_into, state="scaledToZero")),
        *at(f"{one}/resume", POST=_resume),
        *at("/served/{ns}/{name}/health", GET=_health),
    ]


def _hardware(call: Call) -> Answer:
    _member(call)
    vendors = [
        {
            "name": vendor,
            "regions": [
                {"name": region, "computes": [_compute(vendor, region, *s) for s in _SIZES]}
                for region in regions
            ],
        }
        for vendor, regions in _REGIONS.items()
    ]
    return {"vendors": vendors}


def _compute(  # noqa: PLR0917
    vendor: str,
    region: str,
    kind: str,
    accelerator: str,
    size: str,
    named: str,
    gpus: int,
    cpus: int,
    memory: int,
    vram: int | None,
    usd: float,
) -> dict[str, Any]:
    return {
        "id": f"{vendor}-{region}-{kind}-{size}",
        "accelerator": accelerator,
        "instanceType": kind,
        "instanceSize": size,
        "architecture": named,
        "numAccelerators": gpus or 1,
        "numCpus": cpus,
        "memoryGb": memory,
        "gpuMemoryGb": vram,
        "pricePerHour": usd,
        "status": "available",
        "quota": {"maxAccelerators": 8, "usedAccelerators": 0},
    }


def _listed(call: Call) -> Answer:
    ns = _member(call)
    rows = call.hub.store.db().execute("SELECT name FROM endpoints WHERE ns=?", (ns,)).fetchall()
    return {"items": [_told(call, _known(call, ns, row["name"])) for row in rows]}


def _create(call: Call) -> Answer:
    ns = _member(call, write=True)
    body = call.json()
    name = str(body["name"])
    if not NAME.fullmatch(name):
        raise bad_request('"name" must be small letters, digits and "-", at most 32')
    if body["type"] not in KINDS:
        raise bad_request(f'"type" must be one of [{", ".join(KINDS)}]')
    if not call.hub.machines.may_pay(ns):
        raise Refusal(HTTPStatus.PAYMENT_REQUIRED, f"{ns} has no valid payment method.")
    _check_machine(body["provider"], body["compute"])
    now = stamp(call.hub.clock.now())
    made = {
        **{key: body[key] for key in ("name", "type", "provider", "compute", "model")},
        "tags": body.get("tags") or [],
        "healthRoute": "/health",
        "status": {"createdAt": now, "updatedAt": now, "message": "", "since": now},
    }
    made["model"].setdefault("task", None)
    with call.hub.store.write() as db:
        taken = db.execute("SELECT 1 FROM endpoints WHERE ns=? AND name=?", (ns, name)).fetchone()
        if taken:
            raise conflict(f"The endpoint {name} already exists")
        _keep(call, ns, _into_state(call, made, "pending"))
    return _told(call, _known(call, ns, name))


def _shown(call: Call) -> Answer:
    ns = _member(call)
    return _told(call, _known(call, ns, call.param("name")))


def _update(call: Call) -> Answer:
    ns = _member(call, write=True)
    body = call.json()
    with call.hub.store.write():
        known = _known(call, ns, call.param("name"))
        changed = _merged(known, {key: body[key] for key in UPDATED if key in body})
        _check_machine(changed["provider"], changed["compute"])
        resting = _state(call, known) in {"paused", "scaledToZero"}
        state = known["status"]["state"] if resting else "updating"
        _keep(call, ns, _into_state(call, changed, state))
    return _told(call, changed)


def _delete(call: Call) -> Answer:
    ns = _member(call, write=True)
    _known(call, ns, call.param("name"))
    with call.hub.store.write() as db:
        db.execute("DELETE FROM endpoints WHERE ns=? AND name=?", (ns, call.param("name")))
    return None


def _into(call: Call, state: str) -> Answer:
    ns = _member(call, write=True)
    with call.hub.store.write():
        known = _into_state(call, _known(call, ns, call.param("name")), state)
        _keep(call, ns, known)
    return _told(call, known)


def _resume(call: Call) -> Answer:
    ns = _member(call, write=True)
    if _state(call, _known(call, ns, call.param("name"))) in {"running", *STARTING}:
        raise bad_request("The endpoint is already running")
    return _into(call, "pending")


def _health(call: Call) -> Answer:
    """Answer for a running endpoint; one at zero is started by whoever asks."""
    known = _known(call, call.param("ns"), call.param("name"))
    state = _state(call, known)
    if state == "scaledToZero":
        with call.hub.store.write():
            _keep(call, call.param("ns"), _into_state(call, known, "pending"))
    up = state == "running"
    status = HTTPStatus.OK if up else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"state": state}, status_code=status)


def _member(call: Call, *, write: bool = False) -> str:
    """Return the namespace of the path; refuses who does not belong to it, or may not write."""
    call.need_write_token() if write else call.need_user()
    ns = call.param("ns")
    if ns not in call.caller.roles or (write and not call.caller.may_create(ns)):
        raise forbidden(f"You have no access to the endpoints of {ns}")
    return ns


def _known(call: Call, ns: str, name: str) -> dict[str, Any]:
    ask = "SELECT told FROM endpoints WHERE ns=? AND name=?"
    row = call.hub.store.db().execute(ask, (ns, name)).fetchone()
    if row is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"Endpoint {name} not found")
    found: dict[str, Any] = json.loads(row["told"])
    return found


def _keep(call: Call, ns: str, known: dict[str, Any]) -> None:
    with call.hub.store.write() as db:
        row = (ns, known["name"], json.dumps(known))
        db.execute("INSERT OR REPLACE INTO endpoints VALUES (?, ?, ?)", row)


def _told(call: Call, known: dict[str, Any]) -> dict[str, Any]:
    """Return an endpoint as clients see it: with its state by now, and without its secrets."""
    model = {key: value for key, value in known["model"].items() if key != "secrets"}
    status = {key: value for key, value in known["status"].items() if key != "since"}
    status["state"] = _state(call, known)
    if status["state"] not in {"pending", "initializing", "failed"}:
        ns = call.param("ns")
        status["url"] = f"{call.hub.endpoint}{ROOT}/served/{ns}/{known['name']}"
    if status["state"] == "failed":
        status["message"] = f"The repository {model['repository']} cannot be read"
    return {**known, "model": model, "status": status}


def _into_state(call: Call, known: dict[str, Any], state: str) -> dict[str, Any]:
    now = stamp(call.hub.clock.now())
    status = {**known["status"], "state": state, "since": now, "updatedAt": now}
    return {**known, "status": status}


def _state(call: Call, known: dict[str, Any]) -> str:
    """Return the state that an endpoint has come to by now."""
    state = str(known["status"]["state"])
    took = call.hub.clock.now() - datetime.fromisoformat(known["status"]["since"])
    step = timedelta(seconds=call.hub.machines.conditions.endpoint_seconds)
    if state not in STARTING:
        return state
    if call.hub.repos.find("model", known["model"]["repository"]) is None:
        return "failed"
    if took < step:
        return state
    if took < 2 * step and state == "pending":
        return "initializing"
    return "running" if took < _awake(known) else "scaledToZero"


def _awake(known: dict[str, Any]) -> timedelta:
    """Return how long an endpoint runs that nobody asks."""
    scaling = known["compute"]["scaling"]
    minutes = scaling.get("scaleToZeroTimeout") if scaling.get("minReplica") == 0 else None
    return timedelta(minutes=minutes) if minutes else timedelta.max


def _check_machine(provider: dict[str, Any], compute: dict[str, Any]) -> None:
    scaling = compute["scaling"]
    if provider["region"] not in _REGIONS.get(provider["vendor"], ()):
        raise bad_request(f"There is no region {provider['region']} of {provider['vendor']}")
    wanted = (compute["instanceType"], compute["accelerator"], compute["instanceSize"])
    if not any(wanted == (size[0], size[1], size[2]) for size in _SIZES):
        raise bad_request(f"There is no machine {'-'.join(wanted)}")
    if not 0 <= scaling["minReplica"] <= scaling["maxReplica"]:
        raise bad_request('"minReplica" must be at most "maxReplica"')


def _merged(known: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return `known` with what `change` says, block by block."""
    merged = dict(known)
    for key, value in change.items():
        inner = isinstance(value, dict) and isinstance(known.get(key), dict) and key != "image"
        merged[key] = _merged(known[key], value) if inner else value
    return merged
