"""The deployments of this laptop: how they are now, and their end. Says nothing: surfaces do."""

from __future__ import annotations

from dataclasses import dataclass

from backends.deploy.base import Deployed
from backends.errors import JobGone
from backends.handle import Handle
from orchestrator.deploy.documents import GONE, Deployment, RemovedDeployment
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
    def document(self) -> Deployment:
        """Return it for programs."""
        one = self.record
        if self.now:
            return document(self.now, one.usd_per_hour)
        return Deployment(
            deployment=str(one.handle),
            model=one.model,
            flavor=one.flavor,
            usd_per_hour=one.usd_per_hour,
            problem=self.unanswered or None,
        )


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


def document(now: Deployed, usd_per_hour: float | None) -> Deployment:
    """Return how a deployment is for programs."""
    return Deployment(
        deployment=str(now.handle),
        model=now.model,
        flavor=now.flavor,
        stage=now.status.stage,
        ready=now.ready,
        url=now.status.url,
        costing=now.status.costing,
        usd_per_hour=usd_per_hour,
    )


def gone(handle: Handle) -> Deployment:
    """Return one that its provider has no more."""
    return Deployment(deployment=str(handle), stage=GONE, ready=False, costing=False)


def seen(client: Client, handle: Handle) -> Deployment:
    """Return how a deployment is now. Raises `HubtrainError` where that cannot be asked."""
    try:
        return document(client.place(handle).look(handle), _usd_per_hour(client, handle))
    except JobGone:
        return gone(handle)


def pause(client: Client, handle: Handle) -> Deployment:
    """Stop a deployment until it is deployed again, and return how it is then.

    One that is gone is forgotten. Raises `HubtrainError`: `JobGone` for one that is on no record
    here, since it may be misspelt.
    """
    place, usd = client.place(handle), _usd_per_hour(client, handle)
    try:
        place.pause(handle)
        return document(place.look(handle), usd)
    except JobGone:
        if usd is None:
            raise
        client.deployments.forget(handle)
        return gone(handle)


def remove(client: Client, handle: Handle, *, forget: bool = False) -> RemovedDeployment:
    """Delete a deployment and its record; with `forget` the record alone.

    Raises `HubtrainError`, also for one that is on no record here and not there.
    """
    place = client.place(handle)
    if _usd_per_hour(client, handle) is None:
        place.look(handle)  # a word that was misspelt has removed nothing
    if not forget:
        place.remove(handle)
    client.deployments.forget(handle)
    return RemovedDeployment(deployment=str(handle), removed=not forget)


def _usd_per_hour(client: Client, handle: Handle) -> float | None:
    """Return what an hour of a deployment costs; none where it is on no record here."""
    known = (one for one in client.deployments.all() if one.handle == handle)
    return next((one.usd_per_hour for one in known), None)
