"""`hubtrain backends --for`: one job on every machine there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import backends
from orchestrator import flow
from orchestrator.exits import FAILED, MENDABLE
from orchestrator.job_request import JobRequest
from orchestrator.preflight import Compared, Offer
from orchestrator.preflight.offering import Offers
from orchestrator.settings.gather import task_of
from orchestrator.settings.layers import Settings
from orchestrator.terminal.any_task import with_settings
from orchestrator.terminal.desk import Desk
from orchestrator.words import money, size
from worker.duration import roughly
from worker.errors import BadConfig
from worker.task import Task

HEADER = ("--backend", "COST", "AT MOST", "TIME", "MEMORY", "OF", "FITS")


def compared(what: str, words: Sequence[str], *, as_json: bool) -> int:
    """Show a job on record, of a file, or of a task and settings; returns the exit code."""
    said = ["--config", what] if _is_file(what) else [what] if _is_task(what) else []
    if said:
        more = ["--json"] if as_json else []
        return with_settings("backends --for", [*said, *words], _of_settings, more=more)
    if words:
        raise BadConfig(f"{words[0]}: a job on record has its settings.", fix=f"--for {what} alone")
    desk = Desk(as_json)
    return _shown(desk, flow.asked_before(desk, desk.record(what)))


def _is_file(what: str) -> bool:
    return what.startswith(("http://", "https://")) or Path(what).is_file()


def _is_task(what: str) -> bool:
    try:
        return bool(task_of(what))
    except BadConfig:
        return False


def _of_settings(desk: Desk, task: Task[Any], settings: Settings) -> int:
    return _shown(desk, flow.ask(desk, task, settings))


def _shown(desk: Desk, asked: JobRequest) -> int:
    with desk.screen.waiting("Checking") as on_step:
        found = flow.compare(desk, asked, on_step)
    desk.screen.findings(found.findings)
    desk.screen.document(Offers.of(found).model_dump())
    if not found.offers:
        desk.screen.say("Nothing can be said of it before that is mended.")
        return MENDABLE
    desk.screen.table(
        HEADER, [_row(offer) for offer in found.offers], whole=4, spare=("OF", "MEMORY", "AT MOST")
    )
    desk.screen.say("", *_advice(found))
    return FAILED if backends.any_bills(found.silent) else 0


def _row(offer: Offer) -> tuple[str, ...]:
    choice = offer.choice
    estimate, paid = choice.estimate, choice.flavor.usd_per_hour
    may = "yes" if choice.safe else "may not"
    return (
        offer.name,
        money(estimate.usd.expected) if paid else "free",
        money(estimate.usd_at_most) if paid else "free",
        roughly(estimate.minutes.expected * 60),
        size(choice.footprint.expected),
        size(choice.capacity),
        offer.why_not or may,
    )


def _advice(found: Compared) -> list[str]:
    offer = found.recommended
    if offer is None:
        return ["It fits on no machine that there is."]
    takes = f"about {roughly(offer.choice.estimate.minutes.expected * 60)}, {offer.choice.cost}"
    lines = [f"cheapest that fits   --backend {offer.name}   {takes}"]
    if why := offer.choice.estimate.pace.words:
        lines.append(why)
    return lines
