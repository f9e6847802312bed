"""What is known of a draft: what is wrong at which field, what the check finds, what it would take.

Checking takes seconds, and a draft changes while it is checked. `Watched` does it in threads of its
own; what was found of a draft that is no longer wanted is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import backends
from orchestrator import flow, hosted
from orchestrator.form.draft import Draft, words_of
from orchestrator.form.wording import Told, in_words, told
from orchestrator.job_request import JobRequest
from orchestrator.jobs.client import Client
from orchestrator.mentions import mentions
from orchestrator.preflight import CheckReport, Compared
from orchestrator.settings.autotrain import PLACES_NOT_YET
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Settings
from worker.errors import HubtrainError
from worker.finding import Finding
from worker.params import Params

COMPARING = "comparing machines"
"""What is looked at once the check has ended."""

AT_ONCE = 2
"""Checks of one page that may run at the same time: an outdated one is left to its end."""

OF_THE_PLACE = frozenset({*JobSettings.model_fields} - {"username", "push_to_hub"})
"""Settings that change nothing about what a job takes on all machines."""


@dataclass(frozen=True)
class Read:
    """A draft's settings, read and validated; nothing is looked up."""

    asked: JobRequest | None = None
    """The job that is asked for; none where something is wrong."""

    at: Mapping[str, str] = field(default_factory=dict)
    """What is wrong, by the field."""

    other: tuple[str, ...] = ()
    """What is wrong and belongs to no field."""

    lacking: frozenset[str] = frozenset()
    """The fields among those of `at` that have to be filled in and were not yet."""

    @property
    def wrong(self) -> dict[str, str]:
        """What is wrong by the field, without what was only not said yet."""
        return {name: text for name, text in self.at.items() if name not in self.lacking}


@dataclass(frozen=True)
class Look:
    """What is known of a draft so far."""

    draft: Draft
    read: Read
    checked: flow.Checked | flow.Refused | None = None
    compared: Compared | None = None
    busy: str = ""
    """What is looked at now; empty once all is known."""

    @property
    def report(self) -> CheckReport | None:
        """What the check has found; none as long as it has not ended."""
        return self.checked.report if self.checked else None

    @property
    def findings(self) -> list[Told]:
        """What was found, in the form's words."""
        return [told(one, self.draft) for one in (self.report.findings if self.report else ())]

    @property
    def ready(self) -> flow.Checked | None:
        """The job that may be started; none where there is something to mend or to wait for."""
        return self.checked if isinstance(self.checked, flow.Checked) else None


def read(client: Client, said: Draft, environ: Mapping[str, str], *, own_machine: bool) -> Read:
    """Return a draft's settings, read. `own_machine`: whether this machine is the user's."""
    try:
        settings = said.settings(client.accounts, environ)
    except HubtrainError as error:
        return Read(other=tuple(in_words(words_of(error)).splitlines()))
    where = str(settings.values.get("backend", JobSettings.model_fields["backend"].default))
    classes: list[type[Params]] = [JobSettings, said.task.params]
    at: dict[str, str] = {}
    if not own_machine:
        at = dict([*hosted.reaching(said.catalog.settings, said.values), *hosted.away(where)])
    try:
        classes.append(backends.resolve(where, PLACES_NOT_YET).backend.options)
    except HubtrainError as error:
        at["backend"] = in_words(words_of(error))
    for one in classes:
        at = {name: in_words(text) for name, text in settings.complaints(one).items()} | at
    other = (at.pop(""),) if "" in at else ()
    if at or other:
        return Read(None, at, other, settings.lacking(at))
    try:
        return Read(flow.ask(client, said.task, settings))
    except HubtrainError as error:
        return _said(words_of(error), said, settings)


def _said(text: str, said: Draft, settings: Settings) -> Read:
    """Return what is wrong by the field that each line of it begins with, where it does."""
    at: dict[str, str] = {}
    other: list[str] = []
    for line in text.splitlines():
        named = [m for m in mentions(line) if line.startswith(m.flag)]
        if named and named[0].setting.name in said.catalog.settings:
            at[named[0].setting.name] = in_words(line)
        else:
            other.append(in_words(line))
    return Read(None, at, tuple(other), settings.lacking(at))


Tell = Callable[[Look], None]


def looked(client: Client, start: Look, known: Compared | None, tell: Tell) -> Look:
    """Check a draft that was read, and compare what it takes everywhere; returns what is known.

    `tell` is told what is known on the way. `known` is what it takes, if that was asked before.
    """
    asked = start.read.asked
    if asked is None:
        return start
    look = replace(start, busy="checking")
    try:
        look = replace(look, checked=flow.check(client, asked), busy=COMPARING)
        tell(look)
        report = look.report
        if known is None and report is not None and report.data is not None:
            known = flow.compare(client, asked)
    except HubtrainError as error:
        return replace(look, read=Read(None, other=(in_words(words_of(error)),)), busy="")
    return replace(look, compared=known, busy="")


class Watched:
    """The draft of one page, checked as it changes. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._number = self._running = 0
        self._look: Look | None = None
        self._compared: dict[str, Compared] = {}

    @property
    def look(self) -> Look | None:
        """What is known of the draft as it was asked for last."""
        with self._lock:
            return self._look

    def wanted(self, said: Draft, found: Read) -> None:
        """Check this draft from now on; what was found of an earlier one is forgotten."""
        with self._lock:
            self._number += 1
            busy = "checking" if found.asked else ""
            self._look = Look(said, found, compared=self._compared.get(_key(said)), busy=busy)
            if found.asked is None or self._running >= AT_ONCE:
                return
            self._running += 1
        threading.Thread(target=self._work, daemon=True, name="check").start()

    def _work(self) -> None:
        """Check the draft that is wanted until none is that has not been."""
        done = -1
        while True:
            with self._lock:
                number, look = self._number, self._look
                if number == done or look is None or look.read.asked is None:
                    self._running -= 1
                    return
            done = number
            known = look.compared
            self._keep(number, self._checked(look, known, number))

    def _checked(self, look: Look, known: Compared | None, number: int) -> Look:
        try:
            return looked(self._client, look, known, lambda news: self._keep(number, news))
        except Exception as error:  # of a provider's library: the page must say it, and go on
            found = Finding("error", "check", f"the check itself failed: {error!r:.300}")
            return replace(look, read=Read(None, other=(found.text,)), busy="")

    def _keep(self, number: int, look: Look) -> None:
        with self._lock:
            if number != self._number:
                return
            self._look = look
            if look.compared is not None and not look.busy:
                self._compared = {_key(look.draft): look.compared}


def _key(said: Draft) -> str:
    """Return the same text for drafts that take the same on each machine."""
    values = {k: v for k, v in said.values.items() if k not in OF_THE_PLACE}
    return repr((said.task.name, sorted(values.items(), key=lambda pair: pair[0])))
