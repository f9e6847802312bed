"""Deployments that there are: how they are, and how they are stopped, deleted and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backends.deploy
from backends.deploy.base import Deployed
from backends.handle import Handle
from orchestrator.deploy import known
from orchestrator.deploy.app import APP, again
from orchestrator.deploy.documents import GONE, Deployment
from orchestrator.exits import FAILED
from orchestrator.terminal.desk import Desk
from orchestrator.words import money
from worker.errors import HubtrainError
from worker.finding import Finding

DEPLOYED = ("DEPLOYED", "MODEL", "ON", "STATE", "PRICE")


def pause(desk: Desk, handle: Handle) -> Deployment:
    """Stop a deployment, say so, and return what became of it."""
    now = known.pause(desk, handle)
    if now.stage == GONE:
        desk.screen.say(f"{handle} is gone already: it costs nothing.")
    elif now.costing:
        text = f"{handle} is not known to have stopped ({_stage(now)}), and costs."
        desk.screen.findings([Finding("warn", "cancel", text, f"hubtrain cancel {handle}")])
    else:
        begin = (
            f"hubtrain deploy {now.model} --deploy-backend {desk.place(handle).name}-{now.flavor}"
        )
        desk.screen.say(f"Stopped {handle} ({_stage(now)}): it costs nothing now.")
        desk.screen.say(f"start it again   {again(handle) if now.model == APP else begin}")
    return now


def status(desk: Desk, handle: Handle) -> int:
    """Say how a deployment is; returns the exit code: 1 for one that is gone."""
    now = known.seen(desk, handle)
    desk.screen.document(now.model_dump())
    if now.stage == GONE:
        desk.screen.say(f"{handle} is gone: its provider has it no more, and it costs nothing.")
        return FAILED
    price = f", costing {money(now.usd_per_hour)}/h" if now.usd_per_hour else ", costing"
    desk.screen.say(
        f"{handle}  {now.model} on {now.flavor}",
        f"{_stage(now)}{price if now.costing else ', costing nothing'}",
        *([f"page        {now.url}"] if now.url else []),
        f"stop it     hubtrain cancel {handle}",
        f"delete it   hubtrain rm {handle}",
    )
    return 0


def _stage(now: Deployment) -> str:
    return str(now.stage).lower().replace("_", " ")


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
    done = known.remove(desk, handle, forget=forget)
    desk.screen.say(f"{'Forgot' if forget else 'Removed'} {handle}")
    return done.model_dump()


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
