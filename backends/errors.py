"""Errors of backends: what a provider refused, or could not do."""

from __future__ import annotations

from collections.abc import Mapping

from worker.contract import EndReason
from worker.errors import HubtrainError
from worker.nearest import most_alike, nearest

_SHOWN = 5
"""Most names that are listed for an unknown one."""


def listed(wanted: str, offers: Mapping[str, str]) -> str:
    """Return what could be written for `wanted`, a line each, the names most like it first.

    The lines are indented: they go on with a message, and are no problems of their own.
    `offers` gives the price of each, or an empty text.
    """
    shown = most_alike(wanted, offers)[:_SHOWN]
    width = max(map(len, shown), default=0)
    lines = [f"  {name:<{width}} {offers[name]}".rstrip() for name in shown]
    if len(offers) > len(shown):
        lines.append(f"  `hubtrain backends` lists all {len(offers)} with prices.")
    return "\n".join(lines)


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
        offers = {f"{backend}-{name}": f" ${usd:.2f}/h" for name, usd in prices.items()}
        hint = f"Did you mean --backend {backend}-{near}?" if near else ""
        text = f"{backend} has no machine {flavor!r}.\n{listed(f'{backend}-{flavor}', offers)}"
        super().__init__(text, fix=hint)


class PlanRefused(BackendError):
    """The provider cannot do what the job asks; found before anything cost money."""

    reason = EndReason.BAD_CONFIG


class LaunchFailed(BackendError):
    """The job could not be started; what had been made for it is gone again."""


class JobGone(BackendError):
    """The provider has no job under this handle."""
