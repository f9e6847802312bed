"""The deployments of this laptop, and how they are now. Says nothing: surfaces do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.deploy.base import Deployed
from backends.errors import JobGone
from orchestrator.deploy import document
from orchestrator.jobs.client import Client
from orchestrator.jobs.deployments import DeploymentRecord
from orchestrator.words import money
from worker.errors import HubtrainError


@dataclass(frozen=True)
class Known:
    """A deployment of this laptop, and how it is now."""

    record: DeploymentRecord
    now: Deployed | None
    """None where its provider could not be asked."""

    unanswered: str = ""
    """Why it could not be asked."""

    @property
    def row(self) -> tuple[str, ...]:
        """Return it as `hubtrain jobs` shows it."""
        one, usd = self.record, self.record.usd_per_hour
        state = self.now.status.stage.lower().replace("_", " ") if self.now else "not known"
        price = f"{money(usd)}/h" if usd else "free"
        return (str(one.handle), one.model, one.flavor, state, price)

    @property
    def costs(self) -> tuple[str, float] | None:
        """Return its handle and what an hour costs now; none where it is not known to cost."""
        if not (self.now and self.now.status.costing):
            return None
        return str(self.record.handle), self.record.usd_per_hour

    @property
    def document(self) -> dict[str, Any]:
        """Return it for `--json`."""
        if self.now:
            return document(self.now, self.record.usd_per_hour)
        return {"deployment": str(self.record.handle), "model": self.record.model, "stage": None}


def known_deployments(client: Client) -> list[Known]:
    """Return this laptop's deployments as their providers know them; those gone are forgotten."""
    found = []
    for record in client.deployments.all():
        try:
            found.append(Known(record, client.place(record.handle).look(record.handle)))
        except JobGone:
            client.deployments.forget(record.handle)
        except HubtrainError as error:
            found.append(Known(record, None, str(error)))
    return found
