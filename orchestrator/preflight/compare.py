"""What a job would take on every machine there is, its model and examples looked at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.base import Backend, Flavor
from orchestrator.preflight.machine import Choice, best, choices, unable
from orchestrator.preflight.model import BaseModel
from orchestrator.preflight.pace import History
from orchestrator.preflight.request import CheckRequest
from orchestrator.words import size
from worker.finding import Finding
from worker.task import DataReport


@dataclass(frozen=True, slots=True)
class Offer:
    """One machine for one job."""

    backend: str
    choice: Choice
    why_not: str = ""
    """Why the job cannot run there; empty where it can."""

    @property
    def name(self) -> str:
        """Return what is written after `--backend`."""
        flavor = self.choice.flavor.name
        return self.backend if flavor == self.backend else f"{self.backend}-{flavor}"


@dataclass(frozen=True, slots=True)
class Compared:
    """Every machine for a job: those that fit by the price of the finished run, then the others."""

    offers: tuple[Offer, ...]
    findings: tuple[Finding, ...]
    """What kept something from being known."""

    silent: tuple[str, ...] = ()
    """Backends that did not say what machines they have."""

    @property
    def fitting(self) -> list[Offer]:
        """Return those that the job can run on."""
        return [offer for offer in self.offers if not offer.why_not]

    @property
    def recommended(self) -> Offer | None:
        """Return the cheapest on which the job surely fits and ends in a reasonable time."""
        safe = [offer for offer in self.fitting if offer.choice.safe] or self.fitting
        chosen = best([offer.choice for offer in safe])
        return next((offer for offer in safe if offer.choice is chosen), None)


def offers(
    request: CheckRequest,
    model: BaseModel,
    data: DataReport,
    lists: Iterable[tuple[Backend[Any], Sequence[Flavor]]],
    history: History,
) -> tuple[Offer, ...]:
    """Return what the job takes on each machine of these backends, cheapest finished run first."""
    found = [
        Offer(backend.name, choice, _why_not(request, model, choice, backend))
        for backend, flavors in lists
        for choice in choices(request, model, data, flavors, backend, history)
    ]
    return tuple(sorted(found, key=_order))


def _order(offer: Offer) -> tuple[bool, float, float]:
    estimate = offer.choice.estimate
    return bool(offer.why_not), estimate.usd.expected, estimate.minutes.expected


def _why_not(request: CheckRequest, model: BaseModel, choice: Choice, backend: Backend[Any]) -> str:
    if not choice.fits:
        need, there = choice.footprint.low, choice.capacity
        return f"does not fit: needs {size(need)} at least, has {size(there)}"
    if model.ref and not model.ref.on_hub and not backend.sees_my_files:
        return "the model is a folder of this machine"
    why = unable(request, choice, backend)
    return why[0] if why else ""
