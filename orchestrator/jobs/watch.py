"""Following a job: its lines become events on record, its machine is asked about, its end awaited.

The worker's last event decides how a job ended; the provider only says whether the machine lives.
What the provider has forgotten is read from the Hub, where the worker left its events. A network
that is away for a while changes nothing: what was not heard is heard later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backends.base import Backend
from backends.handle import Handle
from orchestrator.jobs.archive import archived_events
from orchestrator.jobs.pace import ASK_SECONDS, longer
from orchestrator.jobs.reader import Reader, quietly
from orchestrator.jobs.records import Record, Records
from orchestrator.jobs.submit import find_launch
from orchestrator.words import clock_time
from worker.clock import Clock
from worker.contract import (
    CancelAsked,
    EndReason,
    Event,
    Failed,
    Launched,
    Observed,
    Stopped,
    from_marked,
)
from worker.duration import roughly
from worker.errors import HubtrainError, HubUnreachable

LOOK_SECONDS = 0.25
"""Wait between two looks at the lines that have come."""

STOP_SECONDS = 90.0
"""Longest wait for the machine to stop by itself after the job's end, before it is stopped."""

GIVE_UP_SECONDS = 60.0
"""Longest wait for a machine that was told to stop."""

GONE_SECONDS_MOST = 5.0
"""Longest wait between two looks at such a machine."""

NOTE_SECONDS = 60.0
"""Longest time that a machine costs after its job's end without that being noted."""

_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which a provider did not answer."""

    since: datetime
    """When it answered last, or was asked first."""

    now: datetime
    why: str = ""
    """Why there was no answer; empty once it answers again."""

    @property
    def said(self) -> str:
        """What to say of it to whoever watches the job."""
        if self.why:
            since = clock_time(self.since, self.now)
            return (
                f"{self.why} Not heard of since {since}; the job goes on, and so does this watch."
            )
        took = roughly((self.now - self.since).total_seconds())
        return f"its provider answers again, after {took} without a word"


@dataclass(slots=True)
class Watch:
    """One job being followed; `on_news` and `on_line` are told what is new."""

    record: Record
    backend: Backend[Any]
    records: Records
    clock: Clock
    on_news: Callable[[Record], None] = lambda record: None
    on_line: Callable[[str], None] = lambda line: None
    on_silence: Callable[[Silence], None] = lambda silence: None
    """Told when the provider is known to be out of reach, and when it answers again."""

    problem: HubtrainError | None = field(default=None, init=False)
    """Why the last question had no answer; none if it had one."""

    _heard: datetime | None = field(default=None, init=False)
    """When the provider answered last."""

    _away: bool = field(default=False, init=False)
    """Whether it has been told that it does not answer."""

    _rested: bool = field(default=False, init=False)
    """Whether the job had ended and its machine was dead when it was last looked at."""

    _told: int = field(default=0, init=False)
    """Lines that `on_line` has been told of: a log that is read again begins at its start."""

    @property
    def handle(self) -> Handle:
        """The launched job. Raises `HubtrainError` if it never was."""
        handle = self.record.story.handle
        if handle is None:
            raise HubtrainError(
                f"{self.record.job_id} was never launched.",
                fix="Run its command again: it goes on where it stopped.",
            )
        return Handle.parse(handle)

    def __post_init__(self) -> None:
        self._rested = self._at_rest()

    def follow(self, timeout: float | None = None) -> Record:
        """Watch until the job has ended and its machine costs nothing; returns the final record.

        Blocks, also while the provider cannot be reached, but no longer than `timeout` seconds. An
        interrupt or a timeout leaves the job as it is. Raises `HubtrainError` if the provider
        refuses to be asked.
        """
        handle = self.handle
        ends = math.inf if timeout is None else self.clock.monotonic() + timeout
        reader, wait, asked = Reader(self.backend, handle), ASK_SECONDS, -math.inf
        while not self.record.ended:
            if self.clock.monotonic() >= ends:
                return self.record
            over = reader.over  # asked before reading, so that the last lines are read
            self._take(reader.new_lines(), reader.count)
            if self.clock.monotonic() - asked >= (ASK_SECONDS if over else wait):
                wait = ASK_SECONDS if self._ask() else longer(wait)
                asked = self.clock.monotonic()
                if over and self._dead() and self._last_word():
                    break
                if over:
                    reader = Reader(self.backend, handle)
            self.clock.sleep(LOOK_SECONDS)
        self._stop_paying(ends)
        return self._settled()

    def refresh(self) -> Record:
        """Ask once, read what there is now, and return the job; nothing is waited for.

        What does not answer is in `problem`, and the job is as it was last known. Raises
        `HubtrainError` if the provider refuses to be asked.
        """
        self.problem = None
        if self.record.story.handle is None:
            self._find()
        if self.record.story.handle is None:
            return self.record
        if not self.record.ended or self._still_there():
            self._ask()
        self._read()
        if self._dead():
            self._last_word()
        return self._settled()

    def cancel(self) -> Record:
        """Stop the job for its user; the wish is on record before the provider is asked.

        That it has stopped is recorded once it is known, and what keeps it from being known is in
        `problem`. A job that has ended keeps its end; if its machine lives on, that is stopped.
        Blocks until the machine costs nothing, or does not stop within minutes.
        """
        try:
            self.refresh()
        except HubtrainError as error:
            self.problem = error
        if not self.record.story.state.final:
            self._note([CancelAsked(at=self.clock.now(), source="laptop")])
        if self.record.story.handle is None:
            if self.problem is None and not self.record.ended:  # nothing was ever launched
                self._note([self._stopped()])
        elif self._still_there():
            self._stop()
        return self._settled()

    def _settled(self) -> Record:
        """Take the secrets back from a machine that has come to rest after its job; once.

        Where that fails, `hubtrain gc` does it.
        """
        if self._at_rest() and not self._rested:
            with suppress(HubtrainError):
                self.backend.forget_secrets(self.handle)
            self._rested = True
        return self.record

    def _at_rest(self) -> bool:
        return self.record.ended and self.record.story.handle is not None and self._dead()

    def _stop(self) -> None:
        try:
            self.backend.cancel(self.handle)
            self._stop_paying()
            self._read(again=True)
            if self._dead():
                self._last_word()
        except HubtrainError as error:
            self.problem = error

    def _stopped(self) -> Stopped:
        return Stopped(reason=EndReason.USER, at=self.clock.now(), source="laptop")

    def _find(self) -> None:
        """Look for a launch whose answer was lost."""
        if not self.record.ended and (handle := find_launch(self.record, self.backend)):
            self._note([Launched(handle=str(handle), at=self.clock.now(), source="laptop")])

    def _read(self, *, again: bool = False) -> None:
        """Read the lines there are, unless it is known how the job ended."""
        if again or not self.record.ended:
            self._take(quietly(self.backend.logs(self.handle)))

    def _take(self, lines: Iterable[str], before: int = 0) -> None:
        """Note the events in the lines and tell the rest, of which `before` came earlier."""
        events = []
        for number, line in enumerate(lines, before + 1):
            event = from_marked(line)
            if event is not None:
                events.append(event)
            elif number > self._told:
                self.on_line(line)
            self._told = max(self._told, number)
        self._note(events)

    def _note(self, events: list[Event]) -> bool:
        """Write events down; true if any was new."""
        if not events or not self.records.add(self.record.job_id, events):
            return False
        self.record = self.records.get(self.record.job_id)
        self.on_news(self.record)
        return True

    def _ask(self) -> bool:
        """Ask the provider once; true if its answer is not what it was."""
        try:
            status = self.backend.look(self.handle)
        except HubUnreachable as error:
            self._unanswered(error)
            return False
        self._answered()
        self.records.asked(self.record.job_id, self.clock.now())
        seen = status.observed(self.clock.now())
        last = self.record.story.machine
        return not (last and _same(last, seen) and not self._costs_on(last)) and self._note([seen])

    def _unanswered(self, error: HubUnreachable) -> None:
        """Note that there was no answer; at the second time in a row it is told."""
        now = self.clock.now()
        self._heard = self._heard or now
        if self.problem and not self._away:
            self._away = True
            self.on_silence(Silence(self._heard, now, error.message))
        self.problem = error

    def _answered(self) -> None:
        now = self.clock.now()
        if self._away:
            self.on_silence(Silence(self._heard or now, now))
        self.problem, self._away, self._heard = None, False, now

    def _costs_on(self, last: Observed) -> bool:
        """Whether the job has ended and its machine costs, which is noted now and then."""
        ended, now = self.record.story.ended_at, self.clock.now()
        since = max(last.at, ended) if ended else now
        return last.costing and (now - since).total_seconds() >= NOTE_SECONDS

    def _last_word(self) -> bool:
        """The machine is gone and no ending was read: look on the Hub, then ask what it died of.

        True once it is known what there is to know, false while the Hub cannot be reached.
        """
        if self.record.ended:
            return True
        try:
            self._note(archived_events(self.record.spec, self.backend.token, self.clock))
        except HubUnreachable as error:
            self.problem = error
            return False
        machine = self.record.story.machine
        if machine and machine.reason and not self.record.ended:
            user = machine.reason is EndReason.USER
            self._note([self._stopped() if user else self._died(machine, machine.reason)])
        if self.record.story.cancel_asked_at and not self.record.ended:
            self._note([self._stopped()])
        return True

    def _died(self, machine: Observed, reason: EndReason) -> Failed:
        said = list(quietly(self.backend.build_logs(self.handle)))[-_LAST_LINES:]
        return Failed(
            reason=reason,
            message=machine.detail or f"The machine stopped ({machine.stage}).",
            detail="\n".join(said),
            at=self.clock.now(),
            source="laptop",
        )

    def _stop_paying(self, ends: float = math.inf) -> Record:
        """Wait for the worker to stop its machine; stop it from here if it does not.

        No longer than until `ends`, by the clock.
        """
        began, wait, told = self.clock.monotonic(), LOOK_SECONDS, False
        with suppress(HubtrainError):  # who may not ask cannot stop it: the record says what it is
            while self._still_there() and self.clock.monotonic() < ends:
                waited = self.clock.monotonic() - began
                if waited > STOP_SECONDS + GIVE_UP_SECONDS:
                    break
                if waited > STOP_SECONDS and not told:
                    self.backend.cancel(self.handle)
                    told = True
                self._ask()
                if self._still_there():
                    self.clock.sleep(wait)
                    wait = longer(wait, GONE_SECONDS_MOST)
        return self.record

    def _dead(self) -> bool:
        machine = self.record.story.machine
        return machine is not None and not machine.alive

    def _still_there(self) -> bool:
        machine = self.record.story.machine
        return machine is None or machine.alive or machine.costing


def _same(a: Observed, b: Observed) -> bool:
    return (a.stage, a.alive, a.costing, a.url) == (b.stage, b.alive, b.costing, b.url)
