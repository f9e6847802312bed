"""A deployment as the Python API shows it: how it is, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubtrain._arguments import typed
from worker.errors import HubtrainError

if TYPE_CHECKING:
    from hubtrain._reach import Reach
    from orchestrator.deploy import documents


class Deployment:
    """A model that answers on a page or behind an address, as it was last known.

    Made by `deploy`, of this module and of a `Client`. `refresh` and `wait` ask how it is now.
    """

    def __init__(self, reach: Reach, now: documents.Deployment) -> None:
        self._reach, self._now = reach, now

    def __repr__(self) -> str:
        return f"<hubtrain.Deployment {self.handle} {self.stage}>"

    @property
    def handle(self) -> str:
        """Name that finds it from any machine, in `hubtrain cancel` and `hubtrain rm` too."""
        return self._now.deployment

    @property
    def model(self) -> str | None:
        """The model that answers; none where its provider has it no more."""
        return self._now.model

    @property
    def flavor(self) -> str | None:
        """The machine it runs on; none where its provider has it no more."""
        return self._now.flavor

    @property
    def stage(self) -> str | None:
        """How it is, in its provider's word; none where that could not be asked."""
        return self._now.stage

    @property
    def ready(self) -> bool:
        """Whether it answers now, or will once somebody asks."""
        return bool(self._now.ready)

    @property
    def costing(self) -> bool:
        """Whether it costs `usd_per_hour` now."""
        return bool(self._now.costing)

    @property
    def usd_per_hour(self) -> float:
        """US dollars an hour while it is awake."""
        return self._now.usd_per_hour or 0.0

    @property
    def url(self) -> str | None:
        """Address of its page; none while there is none."""
        return self._now.url

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known of it: the document of `hubtrain deploy --json`."""
        return self._now.model_dump()

    def refresh(self) -> Deployment:
        """Ask once how it is now, and return it. Raises `HubtrainError` where it is gone."""
        self._now = self._reach.deployment(self.handle)
        if self._now.stage == "gone":
            raise HubtrainError(f"{self.handle} is gone: its provider has it no more.")
        return self

    def wait(self, timeout: float = 3600.0) -> Deployment:
        """Wait until it answers, and return it.

        Raises `HubtrainError` where it will not, with the last that it wrote, or after `timeout`
        seconds: then it goes on starting.
        """
        typed(timeout, (int, float), "timeout", "600.0, in seconds")
        self._now = self._reach.answering(self.handle, timeout)
        return self

    def cancel(self) -> Deployment:
        """Stop it, so that it costs nothing until it is deployed again, and return it."""
        self._now = self._reach.paused(self.handle)
        return self

    def remove(self) -> None:
        """Delete it."""
        self._reach.removed(self.handle)
