"""A checked job, offered with its price and started once: however often it is pressed.

An offer stands for one checked job. It is started in a thread, where packing and upload tell how
far they are; whoever asks again, from the same page or after a reload, gets the same start.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass

from orchestrator import flow
from orchestrator.flow import Checked
from orchestrator.form import uploads
from orchestrator.form.draft import Draft, words_of
from orchestrator.form.wording import in_words
from orchestrator.jobs.client import Client
from orchestrator.jobs.submit import Submitted
from orchestrator.words import money
from worker.duration import roughly
from worker.errors import HubtrainError
from worker.finding import why_refused

MOST = 256
"""Offers that are remembered, of all pages together."""


@dataclass
class Offer:
    """A checked job that may be started, and how its start goes."""

    name: str
    """What nobody can guess: it stands in the page's address once the start was asked for."""

    checked: Checked
    client: Client
    draft: Draft
    begun: bool = False
    doing: str = "starting"
    share: float | None = None
    """Of what is done now, 0 to 1; none where that is not known."""

    job_id: str = ""
    """The job, once there is one."""

    existed: bool = False
    """Whether it had been started before."""

    wrong: str = ""
    """Why it was not started."""

    @property
    def over(self) -> bool:
        return bool(self.job_id or self.wrong)

    def run(self) -> None:
        """Start the job, and say how it ended. Raises nothing."""
        try:
            self._settle(flow.submit(self.client, self.checked, self._progress))
        except HubtrainError as error:
            self.wrong = in_words(words_of(error))
        except Exception as error:  # the page must say it, and not wait for ever
            self.wrong = f"it failed in a way that nobody foresaw: {error!r:.300}"

    def _settle(self, outcome: object) -> None:
        match outcome:
            case flow.Refused():
                self.wrong = in_words(why_refused(outcome.new)) or "It was refused."
            case Submitted():
                self.existed, self.job_id = outcome.existed, outcome.record.job_id
            case flow.AlreadyDone():
                self.existed, self.job_id = True, outcome.record.job_id
        if self.job_id and (path := getattr(self.checked.asked.params, "data_path", None)):
            uploads.used(path, self.job_id)

    def _progress(self, what: str, share: float | None) -> None:
        self.doing, self.share = what, share


class Offers:
    """The offers of an app. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offers: dict[str, Offer] = {}

    def make(self, client: Client, checked: Checked, said: Draft) -> Offer:
        """Return an offer of a checked job, and of the draft that it was made of."""
        offer = Offer(secrets.token_urlsafe(12), checked, client, said)
        with self._lock:
            self._offers[offer.name] = offer
            while len(self._offers) > MOST:
                self._offers.pop(next(iter(self._offers)))
        return offer

    def find(self, name: str) -> Offer | None:
        """Return the offer of that name; none where it is too old."""
        with self._lock:
            return self._offers.get(name)

    def start(self, name: str) -> Offer | None:
        """Start what was offered, unless that was done already; returns how it goes."""
        with self._lock:
            offer = self._offers.get(name)
            if offer is None or offer.begun:
                return offer
            offer.begun = True
        threading.Thread(target=offer.run, daemon=True, name="start").start()
        return offer


def price(checked: Checked) -> str:
    """Return the sentence by which a start is confirmed: where, for how much, how long."""
    report, backend = checked.report, checked.asked.backend
    flavor, estimate = report.flavor, report.estimate
    where = backend.name if flavor.name == backend.name else f"{backend.name} {flavor.name}"
    if not flavor.usd_per_hour:
        took = f", about {roughly(estimate.minutes.expected * 60)}" if estimate.known else ""
        return f"Start on {where}: free{took}"
    if not estimate.known:
        return f"Start on {where}: {money(estimate.usd_at_most)} at most"
    most = money(estimate.usd_at_most)
    return f"Start on {where}: {money(estimate.usd.expected)} expected, {most} at most"
