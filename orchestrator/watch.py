"""Following a job: its lines become events on record, its machine is asked about, its end awaited.

The worker's last event decides how a job ended; the provider only says whether the machine lives.
What the provider has forgotten is read from the Hub, where the worker left its events.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from backends.base import Backend, Status
from backends.errors import JobGone
from backends.handle import Handle
from orchestrator.archive import archived_events
from orchestrator.records import Record, Records
from worker.clock import Clock
from worker.contract import (
    EndReason,
    Event,
    Failed,
    Observed,
    Stopped,
    from_line,
)
from worker.errors import HubtrainError, HubUnreachable

ASK_SECONDS = 2.0
"""First wait between two questions to the provider; it grows while nothing changes."""

ASK_SECONDS_MOST = 30.0
STOP_SECONDS = 90.0
"""Longest wait for the machine to stop by itself after the job's end, before it is stopped."""

_UNBUILT = {"BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE"}


@dataclass(slots=True)
class Watch:
    """One job being followed; `on_event` and `on_line` are told what is new."""

    record: Record
    backend: Backend[Any]
    records: Records
    clock: Clock
    on_event: Callable[[Event, Record], None] = lambda event, record: None
    on_line: Callable[[str], None] = lambda line: None
    _lines: queue.Queue[str | None] = field(default_factory=queue.Queue)

    @property
    def handle(self) -> Handle:
        handle = self.record.story.handle
        if handle is None:
            raise HubtrainError(
                f"{self.record.job_id} was never launched.",
                fix="Run its command again: it goes on where it stopped.",
            )
        return Handle.parse(handle)

    def follow(self) -> Record:
        """Watch until the job has ended and its machine costs nothing; returns the final record.

        Blocks. An interrupt leaves the job as it is.
        """
        reader = threading.Thread(target=self._read, args=(self.handle,), daemon=True)
        reader.start()
        wait, asked, reading = ASK_SECONDS, 0.0, True
        while True:
            if reading:
                reading = self._drain(0.25)
            else:
                self.clock.sleep(min(wait, 1.0))
            if self.clock.monotonic() - asked >= wait or not reading:
                changed = self._ask()
                wait = ASK_SECONDS if changed else min(wait * 1.3, ASK_SECONDS_MOST)
                asked = self.clock.monotonic()
            if self.record.ended:
                return self._stop_paying()
            if self._dead() and not reading:
                return self._last_word()

    def refresh(self) -> Record:
        """Read what there is now, ask once, and return the job; nothing is waited for."""
        if self.record.story.handle is None:
            return self.record
        if not self.record.ended:
            for line in _quietly(self.backend.logs(self.handle)):
                self._take(line)
        if self.record.story.costing is not False:
            self._ask()
        return self.record if self.record.ended or not self._dead() else self._last_word()

    def _read(self, handle: Handle) -> None:
        for line in _quietly(self.backend.logs(handle, follow=True)):
            self._lines.put(line)
        self._lines.put(None)

    def _drain(self, seconds: float) -> bool:
        """Take the lines there are; false once there will be no more."""
        try:
            line = self._lines.get(timeout=seconds)
            while line is not None:
                self._take(line)
                line = self._lines.get_nowait()
        except queue.Empty:
            return True
        return False

    def _take(self, line: str) -> None:
        event = from_line(line)
        if event is None:
            self.on_line(line)
        else:
            self._note(event)

    def _note(self, event: Event) -> None:
        for new in self.records.add(self.record.job_id, [event]):
            self.record = self.records.get(self.record.job_id)
            self.on_event(new, self.record)

    def _ask(self) -> bool:
        """Ask the provider once; true if its answer is not what it was."""
        try:
            status = self.backend.status(self.handle)
        except HubUnreachable:
            return False
        except JobGone:
            status = Status(alive=False, costing=False, stage="gone")
        seen = Observed(
            stage=status.stage,
            alive=status.alive,
            costing=status.costing,
            detail=status.detail,
            url=status.url,
            at=self.clock.now(),
            source="laptop",
        )
        last = self.record.story.machine
        if last and _same(last, seen):
            return False
        self._note(seen)
        return True

    def _last_word(self) -> Record:
        """The machine is gone and no ending was read: look on the Hub, then ask what it died of."""
        for event in archived_events(self.record.spec, self.backend.token):
            self._note(event)
        machine = self.record.story.machine
        if machine and not self.record.ended and machine.stage in _UNBUILT:
            failed = Failed(
                reason=EndReason.BUILD_ERROR,
                message="The machine's image could not be built; nothing was charged for it.",
                detail=machine.detail,
                at=self.clock.now(),
                source="laptop",
            )
            self._note(failed)
        return self.record

    def _stop_paying(self) -> Record:
        """Wait for the worker to stop its machine; stop it from here if it does not."""
        give_up = self.clock.monotonic() + STOP_SECONDS
        while self._still_there():
            if self.clock.monotonic() > give_up:
                self.backend.cancel(self.handle)
                self._ask()
                break
            self.clock.sleep(0.5)
            self._ask()
        return self.record

    def _dead(self) -> bool:
        machine = self.record.story.machine
        return machine is not None and not machine.alive

    def _still_there(self) -> bool:
        machine = self.record.story.machine
        return machine is None or machine.alive or machine.costing


def cancel(record: Record, backend: Backend[Any], records: Records, clock: Clock) -> Record:
    """Stop a job for its user. The intent is on record before the provider is asked."""
    if not record.ended:
        stopped = Stopped(reason=EndReason.USER, at=clock.now(), source="laptop")
        records.add(record.job_id, [stopped])
    if record.story.handle:
        watch = Watch(records.get(record.job_id), backend, records, clock)
        backend.cancel(watch.handle)
        return watch._stop_paying()
    return records.get(record.job_id)


def _quietly(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines until they end or their source cannot be reached."""
    try:
        yield from lines
    except (HubUnreachable, JobGone):
        return


def _same(a: Observed, b: Observed) -> bool:
    return (a.stage, a.alive, a.costing, a.url) == (b.stage, b.alive, b.costing, b.url)
