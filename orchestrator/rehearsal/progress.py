"""Progress of a rehearsal, written to its report: its steps, how long each takes, how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from orchestrator.job_request import JobRequest
from orchestrator.jobs.records import Record
from orchestrator.preflight import CheckReport
from orchestrator.preflight.offering import Offers
from orchestrator.rehearsal import kept
from orchestrator.rehearsal.documents import Outcome, Report, Shown, Took
from worker.clock import Clock
from worker.contract import (
    SAVED,
    Created,
    Event,
    Failed,
    Launched,
    Phase,
    Progress,
    Pushed,
    Started,
    Stopped,
)
from worker.errors import HubtrainError
from worker.finding import Finding

Mark = tuple[str, datetime]
"""What is done from when on."""


class Halted(HubtrainError):
    """The rehearsal was stopped by its user."""


class Telling:
    """Keeps the report of one rehearsal as it goes on."""

    def __init__(self, report: Report, clock: Clock) -> None:
        self.report = report
        self._clock = clock
        self._marks: list[Mark] = []
        self._after: list[Mark] = []
        self._events: Sequence[Event] = ()
        self._offers: Offers | None = None

    @classmethod
    @contextmanager
    def of(
        cls,
        name: str,
        asked: JobRequest,
        checked: CheckReport,
        *,
        steps: int,
        runner: str,
        clock: Clock,
    ) -> Iterator[Telling]:
        """Keep the report of a rehearsal that begins now, until it ends, however it does."""
        kept.make_room()
        report = Report(
            rehearsal=name,
            project=asked.project,
            task=asked.task.name,
            backend=_place(asked, checked),
            began_at=clock.now(),
            steps=steps,
            runner=runner,
            settings={one.name: one.value for one in asked.shown},
            found=checked.findings,
        )
        telling = cls(report, clock)
        with kept.held(name):
            kept.write(report)
            try:
                yield telling
            except (Halted, KeyboardInterrupt):
                telling.end(Outcome.STOPPED, error="It was stopped.")
                raise
            except HubtrainError as error:
                telling.end(Outcome.REFUSED, error=error.message, fix=error.fix)
                raise
            except Exception as error:
                telling.end(Outcome.FAILED, error=f"it failed itself: {error!r:.300}")
                raise

    def goes_on(self) -> None:
        """Raise `Halted` where its user wants it to stop."""
        if kept.halted(self.report.rehearsal):
            raise Halted("the rehearsal was stopped. Nothing of it is left.")

    def does(self, what: str) -> None:
        """Tell what is done from now on. Raises `Halted`."""
        (self._after if self._events else self._marks).append((what, self._clock.now()))
        self._write()
        self.goes_on()

    def hears(self, record: Record) -> None:
        """Tell what the job has told so far."""
        self._events = record.events
        told = tuple(event.model_dump(mode="json") for event in record.events)
        self._write(spec=record.spec.model_dump(mode="json"), events=told)

    def holds(self, held: int) -> None:
        """Note how much memory the worker holds now, in bytes."""
        if held > (self.report.memory_bytes or 0):
            self.report = self.report.model_copy(update={"memory_bytes": held})

    def compares(self, compare: Callable[[], Offers]) -> None:
        """Find out beside all else what the whole job would take on every machine."""

        def run() -> None:
            try:
                self._offers = compare()
            except HubtrainError:  # what its own machine costs is in what the check found
                self._offers = None

        threading.Thread(target=run, daemon=True, name="compare").start()

    def shows(self, proved: Sequence[Finding], unproved: Sequence[Finding]) -> None:
        """Tell what has been shown, and what could not be."""
        self._write(proved=_shown(proved), not_proved=_shown(unproved))

    def end(self, outcome: Outcome, **how: Any) -> None:
        """Tell how it ended."""
        self._write(outcome=outcome, ended_at=self._clock.now(), **how)

    def _took(self, marks: Sequence[Mark]) -> tuple[Took, ...]:
        """Return what has been done so far, in order, each with its time."""
        ends = [*(at for _, at in marks[1:]), self.report.ended_at or self._clock.now()]
        seconds: dict[str, float] = {}
        for (what, at), until in zip(marks, ends, strict=True):
            spent = max(0.0, (until - at).total_seconds())
            seconds[what] = seconds.get(what, 0.0) + spent
        return tuple(Took(what=what, seconds=round(n, 1)) for what, n in seconds.items())

    def _write(self, **told: Any) -> None:
        self.report = self.report.model_copy(update={"offers": self._offers, **told})
        over = self.report.outcome is not Outcome.RUNNING
        marks = self._all_marks
        doing = "" if over or not marks else marks[-1][0]
        self.report = self.report.model_copy(update={"took": self._took(marks), "doing": doing})
        kept.write(self.report)

    @property
    def _all_marks(self) -> list[Mark]:
        return [*self._marks, *_marks(self._events), *self._after]


def _marks(events: Sequence[Event]) -> Iterator[Mark]:
    """Yield what a job has done, and from when on."""
    now = ""
    for event in sorted(events, key=lambda event: event.at):
        what = _does(event)
        if what and what != now:
            now = what
            yield what, event.at


_BEGINS: dict[type[Event], str] = {
    Created: "creating its machine",
    Launched: "starting its machine",
    Started: "starting the worker",
    Progress: "training",
    Pushed: "stopping its machine",
    Failed: "stopping its machine",
    Stopped: "stopping its machine",
}
"""What is done from such an event on."""


def _does(event: Event) -> str:
    """Return what is done from an event on; empty where it begins nothing."""
    if isinstance(event, Phase):
        return "" if event.name == SAVED else event.name
    return _BEGINS.get(type(event), "")


def _place(asked: JobRequest, checked: CheckReport) -> str:
    """Return the job's machine as it is written behind `--backend`."""
    name, flavor = asked.backend.name, checked.flavor.name
    return name if flavor in {name, None, ""} else f"{name}-{flavor}"


def _shown(found: Sequence[Finding]) -> tuple[Shown, ...]:
    return tuple(Shown(topic=one.topic, text=one.text) for one in found)
