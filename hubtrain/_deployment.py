"""A deployment as the Python API shows it: how it is, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubtrain._arguments import typed

if TYPE_CHECKING:
    from backends.deploy.base import Deployed
    from backends.handle import Handle
    from orchestrator.jobs.client import Client


class Deployment:
    """A model that answers on a page or behind an address, as it was last known.

    Made by `deploy`. `refresh` and `wait` ask how it is now.
    """

    def __init__(self, client: Client, now: Deployed, usd_per_hour: float) -> None:
        self._client, self._now, self._usd = client, now, usd_per_hour

    def __repr__(self) -> str:
        return f"<hubtrain.Deployment {self.handle} {self.stage}>"

    @property
    def handle(self) -> str:
        """Name that finds it from any machine, in `hubtrain cancel` and `hubtrain rm` too."""
        return str(self._now.handle)

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._now.model

    @property
    def flavor(self) -> str:
        """The machine it runs on."""
        return self._now.flavor

    @property
    def stage(self) -> str:
        """How it is, in its provider's word."""
        return self._now.status.stage

    @property
    def ready(self) -> bool:
        """Whether it answers now, or will once somebody asks."""
        return self._now.ready

    @property
    def costing(self) -> bool:
        """Whether it costs `usd_per_hour` now."""
        return self._now.status.costing

    @property
    def usd_per_hour(self) -> float:
        """US dollars an hour while it is awake."""
        return self._usd

    @property
    def url(self) -> str | None:
        """Address of its page; none while there is none."""
        return self._now.status.url

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known of it: the document of `hubtrain deploy --json`."""
        from orchestrator.deploy import document

        return document(self._now, self._usd)

    def refresh(self) -> Deployment:
        """Ask once how it is now, and return it. Raises `HubtrainError` where it is gone."""
        self._now = self._client.place(self._handle).look(self._handle)
        return self

    def wait(self, timeout: float = 3600.0) -> Deployment:
        """Wait until it answers, and return it.

        Raises `HubtrainError` where it will not, with the last that it wrote, or after `timeout`
        seconds: then it goes on starting.
        """
        from orchestrator import deploy as flow

        typed(timeout, (int, float), "timeout", "600.0, in seconds")
        self._now = flow.wait(self._client, self._handle, timeout=timeout)
        return self

    def cancel(self) -> Deployment:
        """Stop it, so that it costs nothing until it is deployed again, and return it."""
        self._client.place(self._handle).pause(self._handle)
        return self.refresh()

    def remove(self) -> None:
        """Delete it."""
        self._client.place(self._handle).remove(self._handle)
        self._client.deployments.forget(self._handle)

    @property
    def _handle(self) -> Handle:
        return self._now.handle
