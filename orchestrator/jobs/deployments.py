"""What this laptop knows of the models that it deployed: where, and what an hour costs.

How they are now only their providers know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backends.handle import Handle
from orchestrator.jobs.records import Records
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import endpoint

_TABLE = """
create table if not exists deployments (
    handle text not null,
    hub text not null,
    model text not null,
    flavor text not null,
    usd_per_hour real not null,
    at text not null,
    primary key (handle, hub)
)
"""


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """One deployment as this laptop knows it."""

    handle: Handle
    model: str
    flavor: str
    usd_per_hour: float
    at: datetime
    """When it was deployed last."""


class Deployments:
    """The deployments of this laptop at the present Hub, beside the records of jobs."""

    def __init__(self, records: Records) -> None:
        self._records = records
        with records.opened() as db:
            db.execute(_TABLE)

    def put(self, record: DeploymentRecord) -> None:
        """Write a deployment down, in place of what was known of it."""
        one = (record.model, record.flavor, record.usd_per_hour, record.at.isoformat())
        with self._records.opened() as db:
            row = (str(record.handle), endpoint(), *one)
            db.execute("insert or replace into deployments values (?, ?, ?, ?, ?, ?)", row)

    def all(self) -> list[DeploymentRecord]:
        """Return every deployment, newest first."""
        ask = "select handle, model, flavor, usd_per_hour, at from deployments where hub = ?"
        with self._records.opened() as db:
            rows = db.execute(f"{ask} order by at desc", (endpoint(),)).fetchall()
        return [_record(*row) for row in rows]

    def named(self, name: str) -> Handle | None:
        """Return the deployment of a handle, or of its name with or without its owner's.

        Raises `BadConfig` where several have that name.
        """
        handles = [record.handle for record in self.all()]
        if whole := next((h for h in handles if str(h) == name), None):
            return whole
        called = [h for h in handles if name in {h.path, h.path.rpartition("/")[2]}]
        if len(called) > 1:
            raise BadConfig(
                f"{name!r} could be {' or '.join(map(str, called))}.", fix="Type one of these."
            )
        return called[0] if called else None

    def forget(self, handle: Handle) -> None:
        """Forget a deployment. One that is not known is no error."""
        with self._records.opened() as db:
            row = (str(handle), endpoint())
            db.execute("delete from deployments where handle = ? and hub = ?", row)


def _record(handle: str, model: str, flavor: str, usd: float, at: str) -> DeploymentRecord:
    try:
        where, since = Handle.parse(str(handle)), datetime.fromisoformat(at)
        return DeploymentRecord(where, str(model), str(flavor), float(usd), since)
    except (ValueError, TypeError) as error:
        raise HubtrainError(
            f"what is on record of the deployment {handle} cannot be read: {error}.",
            fix="hubtrain gc finds what is deployed and costs, without records.",
        ) from error
