"""A deployment from the command line: checked, made, and watched until it answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import backends.deploy
from backends.deploy.base import Deployed
from backends.errors import JobGone
from backends.handle import Handle
from orchestrator import deploy as flow
from orchestrator.deploy.model import deployable
from orchestrator.jobs.deployments import DeploymentRecord
from orchestrator.settings.deploy import DeploySettings
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.exits import DETACHED, MENDABLE
from orchestrator.words import count, money
from worker.errors import HubtrainError, HubUnreachable
from worker.task import Finding, Task


def deploy(
    desk: Desk,
    settings: DeploySettings,
    model: str,
    task: Task[Any] | None,
    fixed: Mapping[str, Any],
    *,
    owner: str | None = None,
    dry_run: bool = False,
    detach: bool = False,
) -> int:
    """Deploy a model of the Hub, of a task or of the one that fits; returns the exit code."""
    with desk.screen.waiting("Checking"):
        find = partial(deployable, desk, model, task, fixed)
        checked = flow.check(desk, settings, find, owner)
    desk.screen.findings(checked.findings)
    if (ready := checked.ready) is None:
        wrong = sum(finding.level == "error" for finding in checked.findings)
        desk.screen.say(f"{count(wrong, 'thing')} to mend. Nothing was created.")
        desk.screen.document({"findings": [asdict(f) for f in checked.findings]})
        return MENDABLE
    if dry_run:
        desk.screen.say("", "The plan; nothing was created:", *repr(ready.request).splitlines())
        desk.screen.document(ready.request.to_json())
        return 0
    with desk.screen.stages() as stages:
        handle = flow.send(desk, ready, stages)
        if detach:
            return _left(desk, handle, 0)
        try:
            now = flow.wait(desk, handle, lambda stage: stages(_titled(stage), None))
        except HubUnreachable:
            desk.screen.say("", f"{handle} goes on by itself.", *_ends(handle))
            raise
        except KeyboardInterrupt:
            stages.close()
            sys.exit(_left(desk, handle, DETACHED))
    _tell(desk, now, ready.order.flavor.usd_per_hour)
    return 0


def _tell(desk: Desk, now: Deployed, usd: float) -> None:
    """Say where the model answers, what that costs, and how to end it."""
    cost = f"costs {money(usd)}/h while it is awake" if usd else "costs nothing"
    desk.screen.say(
        "",
        f"{now.model} answers on {now.flavor} · {cost}",
        f"page        {now.status.url}",
        *_ends(now.handle),
    )
    desk.screen.document(document(now, usd))


def _ends(handle: Handle) -> list[str]:
    return [
        f"stop it     hubtrain cancel {handle}",
        f"delete it   hubtrain rm {handle}",
    ]


def _left(desk: Desk, handle: Handle, code: int) -> int:
    """Say that a deployment goes on by itself, and what that costs."""
    known = next(one for one in desk.deployments.all() if one.handle == handle)
    usd = known.usd_per_hour
    cost = f"and costs {money(usd)}/h from then on" if usd else "and costs nothing"
    desk.screen.say("", f"{handle} goes on starting, {cost}.", *_ends(handle))
    desk.screen.document({"deployment": str(handle), "model": known.model, "usd_per_hour": usd})
    return code


def document(now: Deployed, usd: float) -> dict[str, Any]:
    """Return a deployment for `--json`."""
    return {
        "deployment": str(now.handle),
        "model": now.model,
        "flavor": now.flavor,
        "stage": now.status.stage,
        "url": now.status.url,
        "costing": now.status.costing,
        "usd_per_hour": usd,
    }


DEPLOYED = ("DEPLOYED", "MODEL", "ON", "STATE", "PRICE")


@dataclass(frozen=True)
class Known:
    """A deployment of this laptop, and how it is now."""

    record: DeploymentRecord
    now: Deployed | None
    """None where its provider could not be asked."""

    @property
    def row(self) -> tuple[str, ...]:
        """Return it as `hubtrain jobs` shows it."""
        one, usd = self.record, self.record.usd_per_hour
        state = self.now.status.stage.lower().replace("_", " ") if self.now else "not known"
        price = f"{money(usd)}/h" if usd else "free"
        return (str(one.handle), one.model, one.flavor, state, price)

    @property
    def costs(self) -> str:
        """Return what it costs now and how to stop that; empty where it is not known to."""
        if not (self.now and self.now.status.costing):
            return ""
        price = money(self.record.usd_per_hour)
        return f"Costing now: {self.record.handle} {price}/h (hubtrain cancel stops it)"

    @property
    def document(self) -> dict[str, Any]:
        """Return it for `--json`."""
        if self.now:
            return document(self.now, self.record.usd_per_hour)
        return {"deployment": str(self.record.handle), "model": self.record.model, "stage": None}


def deployments(desk: Desk) -> list[Known]:
    """Return this laptop's deployments, and forget those that are gone."""
    found = []
    for record in desk.deployments.all():
        try:
            found.append(Known(record, desk.place(record.handle).look(record.handle)))
        except JobGone:
            desk.deployments.forget(record.handle)
        except HubtrainError as error:
            desk.screen.findings([Finding("warn", "not asked", f"{record.handle}: {error}")])
            found.append(Known(record, None))
    return found


def pause(desk: Desk, handle: Handle) -> dict[str, Any]:
    """Stop a deployment, say so, and return what became of it for `--json`."""
    place = desk.place(handle)
    place.pause(handle)
    now = place.look(handle)
    stage = now.status.stage.lower().replace("_", " ")
    if now.status.costing:
        text = f"{handle} is not known to have stopped ({stage}), and costs."
        desk.screen.findings([Finding("warn", "cancel", text, f"hubtrain cancel {handle}")])
    else:
        desk.screen.say(f"Stopped {handle} ({stage}): it costs nothing now.")
        desk.screen.say(f"start it again   hubtrain deploy {now.model}")
    return document(now, 0.0)


def remove(desk: Desk, handle: Handle, *, forget: bool) -> dict[str, Any]:
    """Delete a deployment, or its record alone, and return what became of it for `--json`."""
    if not forget:
        desk.place(handle).remove(handle)
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


def _titled(stage: str) -> str:
    return stage.capitalize().replace("_", " ")
