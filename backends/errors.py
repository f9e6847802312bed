"""What a provider can answer that is not an answer."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from worker.contract import EndReason
from worker.errors import HubtrainError


class BackendError(HubtrainError):
    """A provider refused, failed or forgot; the message carries its own words."""


class UnknownBackend(BackendError):
    """`--backend` names no place that there is."""

    reason = EndReason.BAD_CONFIG


class UnknownFlavor(BackendError):
    """The provider rents out no such machine."""

    reason = EndReason.BAD_CONFIG

    def __init__(self, backend: str, flavor: str, prices: Mapping[str, float]) -> None:
        near = get_close_matches(flavor, prices, n=len(prices), cutoff=0.5)
        order = [*near, *(name for name in prices if name not in near)]
        listed = ", ".join(f"{name} ${prices[name]:.2f}/h" for name in order)
        hint = f"Did you mean --backend {backend}-{near[0]}?" if near else ""
        super().__init__(f"{backend} has no machine {flavor!r}; it has {listed}.", fix=hint)


class PlanRefused(BackendError):
    """The provider cannot do what the job asks; found before anything cost money."""

    reason = EndReason.BAD_CONFIG


class LaunchFailed(BackendError):
    """The job could not be started; what had been made for it is gone again."""


class JobGone(BackendError):
    """The provider has no job under this handle."""
