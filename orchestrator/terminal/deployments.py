"""Deployments that there are: how they are, and how they are stopped, deleted and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backends.deploy
from backends.deploy.base import Deployed
from backends.errors import JobGone
from backends.handle import Handle
from orchestrator.deploy import document
from orchestrator.exits import FAILED
from orchestrator.terminal.desk import Desk
from orchestrator.words import money
from worker.errors import HubtrainError
from worker.finding import Finding

DEPLOYED = ("DEPLOYED", "MODEL", "ON", "STATE", "PRICE")


def pause(desk: Desk, handle: Handle) -> dict[str, Any]:
    """Stop a deployment, say so, and return what became of it for `--json`."""
    place = desk.place(handle)
    known = next((one for one in desk.deployments.all() if one.handle == handle), None)
    try:
        place.pause(handle)
        now = place.look(handle)
    except JobGone:
        if known is None:  # it may be misspelt
            raise
        desk.deployments.forget(handle)
        desk.screen.say(f"{handle} is gone already: it costs nothing.")
        return {"deployment": str(handle), "stage": "gone", "costing": False}
    where = f"{place.name}-{known.flavor if known else now.flavor}"
    stage = now.status.stage.lower().replace("_", " ")
    if now.status.costing:
        text = f"{handle} is not known to have stopped ({stage}), and costs."
        desk.screen.findings([Finding("warn", "cancel", text, f"hubtrain cancel {handle}")])
    else:
        desk.screen.say(f"Stopped {handle} ({stage}): it costs nothing now.")
        desk.screen.say(f"start it again   hubtrain deploy {now.model} --deploy-backend {where}")
    return document(now, 0.0)


def status(desk: Desk, handle: Handle) -> int:
    """Say how a deployment is; returns the exit code: 1 for one that is gone."""
    known = next((one for one in desk.deployments.all() if one.handle == handle), None)
    try:
        now = desk.place(handle).look(handle)
    except JobGone:
        desk.screen.say(f"{handle} is gone: its provider has it no more, and it costs nothing.")
        desk.screen.document({"deployment": str(handle), "stage": "gone", "costing": False})
        return FAILED
    usd = known.usd_per_hour if known else 0.0
    stage = now.status.stage.lower().replace("_", " ")
    price = f", costing {money(usd)}/h" if usd else ", costing"
    desk.screen.say(
        f"{handle}  {now.model} on {now.flavor}",
        f"{stage}{price if now.status.costing else ', costing nothing'}",
        *([f"page        {now.status.url}"] if now.status.url else []),
        f"stop it     hubtrain cancel {handle}",
        f"delete it   hubtrain rm {handle}",
    )
    desk.screen.document(document(now, usd))
    return 0


def logs(desk: Desk, handle: Handle) -> int:
    """Print what a deployment wrote while it was made or started; returns the exit code."""
    for line in desk.place(handle).last_words(handle):
        if desk.as_json:
            desk.screen.document({"line": line})
        else:
            desk.screen.plain(line)
    return 0


def remove(desk: Desk, handle: Handle, *, forget: bool) -> dict[str, Any]:
    """Delete a deployment, or its record alone, and return what became of it for `--json`."""
    place = desk.place(handle)
    if all(one.handle != handle for one in desk.deployments.all()):
        place.look(handle)  # a word that was misspelt has removed nothing
    if not forget:
        place.remove(handle)
    desk.deployments.forget(handle)
    desk.screen.say(f"{'Forgot' if forget else 'Removed'} {handle}")
    return {"deployment": str(handle), "removed": not forget}


def swept(desk: Desk, owners: Sequence[str]) -> list[Finding]:
    """Return what there is to say of every deployment of these accounts: none is garbage."""
    found = []
    for kind in map(backends.deploy.load, backends.deploy.names()):
        place = kind(desk.token, desk.clock)
        for owner in owners:
            try:
                found += [_line(one) for one in place.sweep(owner)]
            except HubtrainError as error:
                found.append(Finding("warn", "not asked", f"{place.name} of {owner}: {error}"))
    return found


def _line(one: Deployed) -> Finding:
    stage = one.status.stage.lower().replace("_", " ")
    text = f"{one.handle} · {one.model} on {one.flavor} · {stage}"
    if one.status.costing:
        return Finding("warn", "deployed", f"{text}, costing", f"hubtrain cancel {one.handle}")
    return Finding("ok", "deployed", f"{text}, free")
