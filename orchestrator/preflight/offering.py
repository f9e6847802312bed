"""What a job would take on every machine there is, as a document for programs."""

from __future__ import annotations

from orchestrator.document import Document
from orchestrator.preflight.compare import Compared
from orchestrator.preflight.compare import Offer as Machine
from orchestrator.preflight.estimate import Range


class Offer(Document):
    """One machine for one job."""

    backend: str
    """What is written behind `--backend`."""

    usd_per_hour: float
    minutes: Range
    usd: Range
    usd_at_most: float
    pace: dict[str, float]
    known: bool
    memory_bytes: float
    """What the job is expected to need."""

    memory_there: float
    fits: bool
    safe: bool
    """Whether it fits even at the high estimate."""

    why_not: str | None


class Offers(Document):
    """What a job would take and cost on every machine, the cheapest finished run first."""

    offers: list[Offer]
    recommended: str | None
    """The cheapest on which it surely fits, as written behind `--backend`."""

    findings: list[str]
    """What kept something from being known."""

    @classmethod
    def of(cls, found: Compared) -> Offers:
        """Return every machine for a job as a document."""
        best = found.recommended
        return cls(
            offers=list(map(_offer, found.offers)),
            recommended=best.name if best else None,
            findings=[f.text for f in found.findings],
        )


def _offer(one: Machine) -> Offer:
    choice = one.choice
    return Offer(
        backend=one.name,
        usd_per_hour=choice.flavor.usd_per_hour,
        **choice.estimate.to_json(),
        memory_bytes=choice.footprint.expected,
        memory_there=choice.capacity,
        fits=not one.why_not,
        safe=choice.safe,
        why_not=one.why_not or None,
    )
