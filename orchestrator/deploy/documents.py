"""The documents of deployments: how one is, what would be made for one, what became of one."""

from __future__ import annotations

from typing import Any

from orchestrator.document import Document
from worker.finding import Finding

GONE = "gone"
"""The stage of a deployment that its provider has no more."""


class Deployment(Document):
    """A model that answers on a page or behind an address."""

    deployment: str
    """Its handle, which `status`, `cancel` and `rm` take."""

    model: str | None = None
    flavor: str | None = None
    stage: str | None = None
    """How it is, in its provider's word; `gone`; none where it could not be asked."""

    ready: bool | None = None
    """Whether it answers now, or will once somebody asks."""

    url: str | None = None
    costing: bool | None = None
    usd_per_hour: float | None = None
    """What an hour costs while it is awake."""

    problem: str | None = None
    """Why it could not be stopped, or asked."""


class DeploymentPlan(Document):
    """What would be made for a deployment. Nothing was created."""

    ok: bool
    """Whether it may be made as it stands."""

    findings: list[Finding]
    deployment: str | None = None
    """Its handle. This and all below: only where it may be made, and would be now."""

    model: str | None = None
    flavor: str | None = None
    usd_per_hour: float | None = None
    """What an hour costs while it is awake."""

    sleep_seconds: int | None = None
    """Time without a question after which it sleeps and costs nothing, where it costs."""

    plan: dict[str, Any] | None = None
    """What the provider would be sent, in its own words."""


class RemovedDeployment(Document):
    """What became of a deployment that was to be deleted."""

    deployment: str
    removed: bool
    """Whether it is deleted; else its record alone."""
