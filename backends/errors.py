"""What a provider can answer that is not an answer."""

from __future__ import annotations

from collections.abc import Mapping

from worker.contract import EndReason
from worker.errors import HubtrainError
from worker.nearest import nearest


class BackendError(HubtrainError):
    """A provider refused, failed or forgot; the message carries its own words."""


class UnknownBackend(BackendError):
    """`--backend` names no place that there is."""

    reason = EndReason.BAD_CONFIG


class UnknownFlavor(BackendError):
    """The provider rents out no such machine."""

    reason = EndReason.BAD_CONFIG

    def __init__(self, backend: str, flavor: str, prices: Mapping[str, float]) -> None:
        near = nearest(flavor, prices)
        listed = ", ".join(f"{name} ${usd:.2f}/h" for name, usd in prices.items())
        hint = f"Did you mean --backend {backend}-{near}?" if near else ""
        super().__init__(f"{backend} has no machine {flavor!r}; it has {listed}.", fix=hint)


class PlanRefused(BackendError):
    """The provider cannot do what the job asks; found before anything cost money."""

    reason = EndReason.BAD_CONFIG


class LaunchFailed(BackendError):
    """The job could not be started; what had been made for it is gone again."""


class JobGone(BackendError):
    """The provider has no job under this handle."""
