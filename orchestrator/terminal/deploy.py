"""A deployment from the command line: checked, made, and watched until it answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from backends.deploy.base import Deployed
from backends.handle import Handle
from orchestrator import deploy as flow
from orchestrator.deploy.documents import Deployment
from orchestrator.deploy.known import document
from orchestrator.deploy.model import deployable
from orchestrator.exits import DETACHED, MENDABLE
from orchestrator.settings.deploy import DeploySettings
from orchestrator.terminal.desk import Desk
from orchestrator.words import count, money
from worker.errors import HubUnreachable
from worker.task import Task


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
    return make(desk, checked, dry_run=dry_run, detach=detach)


def make(
    desk: Desk, checked: flow.DeployCheck, *, dry_run: bool = False, detach: bool = False
) -> int:
    """Make what was checked, and watch it until it answers; returns the exit code."""
    desk.screen.findings(checked.findings)
    if (ready := checked.ready) is None:
        wrong = sum(finding.level == "error" for finding in checked.findings)
        desk.screen.say(f"{count(wrong, 'thing')} to mend. Nothing was created.")
        if desk.as_json:
            from orchestrator.api.errors import refused_deployment

            desk.screen.document(refused_deployment(checked).model_dump())
        return MENDABLE
    if dry_run:
        desk.screen.say("", "The plan; nothing was created:", *repr(ready.request).splitlines())
        desk.screen.document(checked.document().model_dump())
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
    _tell(desk, now, ready.flavor.usd_per_hour)
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
    desk.screen.document(document(now, usd).model_dump())


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
    left = Deployment(deployment=str(handle), model=known.model, usd_per_hour=usd)
    desk.screen.document(left.model_dump())
    return code


def _titled(stage: str) -> str:
    return stage.capitalize().replace("_", " ")
