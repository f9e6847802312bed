"""A sweep that runs: trials become jobs, what they measure decides what is tried next.

Each trial is looked for on record before it is made: by its number, which its job carries. One
that a process before this one has launched is watched, one that it only wrote down is launched,
and one that it told of is told again, which changes nothing. Watching is done in threads, all else
in one, which hears from them.

Where a place takes several jobs by one request, all that may begin go there together; and as it has
a queue, it is given the whole of a grid, of which it runs so many at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from backends.base import OnProgress, silent
from orchestrator import flow
from orchestrator.flow import AlreadyDone, Checked, Refused
from orchestrator.job_request import JobRequest
from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.records import Record
from orchestrator.jobs.seen import glance_of
from orchestrator.jobs.spending import committed
from orchestrator.jobs.watch import Silence
from orchestrator.sweep.chosen import is_grid
from orchestrator.sweep.search import Search
from orchestrator.sweep.spec import SweepSpec, halted
from orchestrator.sweep.trial import Trial
from orchestrator.words import money
from worker import contract
from worker.errors import HubtrainError, HubUnreachable

IN_A_ROW = 3
"""Failures one after the other after which nothing more is started: what they share is wrong."""

_CENT = 0.01

OnTrials = Callable[[Sequence[Trial]], None]


def asked_for(client: Client, spec: SweepSpec, trial: Trial) -> JobRequest:
    """Return a trial as a job that is asked for. Raises `BadConfig`."""
    asked = flow.ask(client, spec.kind, spec.job(trial.number, trial.settings))
    return replace(asked, trial=contract.Trial(sweep=spec.name, number=trial.number))


@dataclass(frozen=True, slots=True)
class _News:
    """What the thread that watches a trial has heard."""

    trial: Trial
    heard: Record | Exception
    over: bool
    """Whether it is the last that it tells."""


@dataclass
class Running:
    """A sweep and what is known of its trials."""

    client: Client
    spec: SweepSpec
    search: Search
    first: Checked | None = None
    """The check of the first trial, where it has just been made."""

    on_trials: OnTrials = lambda trials: None
    """Told of every change."""

    on_progress: OnProgress = silent
    on_silence: Callable[[Trial, Silence], None] = lambda trial, silence: None
    """Told, from any thread, when a trial's provider is out of reach, and when it answers again."""

    on_trouble: Callable[[Trial, HubtrainError], None] = lambda trial, error: None
    """Told, from any thread, of what keeps a trial from being launched, watched or stopped."""

    trials: list[Trial] = field(default_factory=list)
    ended_early: str = ""
    """Why no further trials were begun, though there were to be more."""

    _news: SimpleQueue[_News] = field(default_factory=SimpleQueue)
    _watched: set[int] = field(default_factory=set)
    _written: list[tuple[Trial, JobRequest, Record]] = field(default_factory=list)
    """What is on record and to be launched."""

    _begun_here: set[int] = field(default_factory=set)
    _failed: int = 0
    """Trials that failed in this process since one succeeded."""

    _needed: float = 0.0
    """US dollars that the next trial waits for; nothing is looked at again before they are left."""

    def run(self) -> None:
        """Run it to its end. Blocks; an interrupt leaves the trials that run as they are."""
        self._take_up()
        while True:
            while self._may_begin() and self._begin():
                pass
            if self._written:
                self._launch()
                continue
            self.on_trials(self.trials)
            if not self._watched:
                return
            self._hear(self._news.get())

    @property
    def usd_left(self) -> float:
        """What may still be spent, what running trials may cost at most counted as spent.

        So is what trials have cost that were removed.
        """
        if self.spec.max_usd is None:
            return math.inf
        jobs = [glance_of(trial.record) for trial in self.trials if trial.record]
        return self.spec.max_usd - committed([*jobs, *self._removed(jobs)], self.client.clock.now())

    def _removed(self, known: Sequence[Glance]) -> list[Glance]:
        """Return the trials whose records are gone, those `known` here aside."""
        ours, begun = {job.job_id for job in known}, self.spec.begun_at
        return [
            job
            for job in self.client.records.spent()
            if job.sweep == self.spec.name
            and job.job_id not in ours
            and begun is not None
            and (job.created_at is None or job.created_at >= datetime.fromisoformat(begun))
        ]

    def _take_up(self) -> None:
        """Go on with the trials that are on record."""
        jobs: dict[int, Record] = {}
        for record in self.client.records.of_sweep(self.spec.name):  # newest first
            if record.spec.trial:
                jobs.setdefault(record.spec.trial.number, record)
        for number in range(max(jobs, default=-1) + 1):
            trial = Trial(number, self.search.settings(number), jobs.get(number))
            trial.pruned = self.search.pruned(number)
            self.trials.append(trial)
        for trial in self.trials:
            if trial.record is not None:
                self._go_on(trial, trial.record)

    def _go_on(self, trial: Trial, record: Record) -> None:
        """Launch what was only written down, watch what runs, and tell of what has ended."""
        if record.settled:
            self._told(trial)
            return
        if record.story.handle is None and not record.ended:
            try:
                asked = asked_for(self.client, self.spec, trial)
            except HubtrainError as error:  # what it needs is there no more
                self._not_launched(trial, error)
            else:
                self._written.append((trial, asked, record))
        else:
            self._watch(trial, record)

    def _may_begin(self) -> bool:
        waiting = any(trial.record is None and not trial.over for trial in self.trials)
        if not waiting and len(self.trials) >= self.search.total:
            return False
        if halted(self.spec.name):
            self.ended_early = f"hubtrain cancel {self.spec.name} was typed"
        if self._watched and self.usd_left < self._needed:
            return False
        return not self.ended_early and len(self._written) < self._room

    @cached_property
    def _together(self) -> int:
        """How many trials go to their place by one request."""
        return flow.together(asked_for(self.client, self.spec, Trial(0, self.search.settings(0))))

    @property
    def queues(self) -> bool:
        """Whether trials wait for each other in their place, and not here."""
        return self._together > 1 and is_grid(self.spec)

    @property
    def _room(self) -> int:
        """How many trials may be launched now."""
        if self.queues:
            return 0 if self._watched else self._together
        return min(self._together, self.spec.how.parallel - len(self._watched))

    def _begin(self) -> bool:
        """Begin the next trial; false if that has to wait, or there will be none."""
        trial = next((t for t in self.trials if t.record is None and not t.over), None)
        if trial is None:
            number = len(self.trials)
            trial = Trial(number, self.search.settings(number))
            self.trials.append(trial)
        if (twin := self._twin(trial)) is not None:
            trial.twin = twin.number
            if twin.over:
                self._told(twin)
            return True
        try:
            return self._write_down(trial)
        except HubtrainError as error:
            self._not_launched(trial, error)
        return not self.ended_early

    def _write_down(self, trial: Trial) -> bool:
        """Put a trial on record, to be launched; false if there is no money for it yet."""
        asked = asked_for(self.client, self.spec, trial)
        checked = self._checked(asked)
        if isinstance(checked, Refused):
            self._refused(trial, checked)
            return True
        capped = self._capped(checked)
        if capped is None:
            return False
        outcome = flow.write_down(self.client, capped, self.on_progress)
        if isinstance(outcome, Refused):
            self._refused(trial, outcome)
            return True
        self._begun_here.add(trial.number)
        if isinstance(outcome, AlreadyDone):
            trial.record = outcome.record
            self._told(trial)
        else:
            trial.record = outcome
            self._written.append((trial, capped.asked, outcome))
        return True

    def _launch(self) -> None:
        """Launch what is on record, and watch it. Where it may have been, nothing more begins."""
        written, self._written = self._written, []
        jobs = [(asked, record) for _, asked, record in written]
        at_once = self.spec.how.parallel
        launched = flow.launch_all(self.client, jobs, at_once, self.on_progress)
        for (trial, _, _), outcome in zip(written, launched, strict=True):
            if isinstance(outcome, HubtrainError):
                self._not_launched(trial, outcome)
            else:
                trial.record = outcome
                self._watch(trial, outcome)

    def _checked(self, asked: JobRequest) -> Checked | Refused:
        first, self.first = self.first, None
        if first and (first.asked.project, first.asked.params) == (asked.project, asked.params):
            return first
        self.on_progress("checking", None)
        return flow.check(self.client, asked)

    def _capped(self, checked: Checked) -> Checked | None:
        """Return a job that cannot cost more than it is expected to at most.

        None if there is no money for it: then it waits for what running ones do not use.
        """
        if self.spec.max_usd is None or not checked.report.flavor.usd_per_hour:
            return checked
        most = max(_CENT, math.ceil(checked.report.estimate.usd_at_most / _CENT) * _CENT)
        self._needed = most if most > self.usd_left else 0.0
        if self._needed:
            if not self._watched:
                self.ended_early = (
                    f"{money(max(0.0, self.usd_left))} are left of {money(self.spec.max_usd)},"
                    f" and the next trial may cost {money(most)}"
                )
            return None
        job = checked.asked.job.model_copy(update={"max_cost": round(most, 2)})
        return replace(checked, asked=replace(checked.asked, job=job))

    def _twin(self, trial: Trial) -> Trial | None:
        """Return a trial that measures what this one would: nobody pays for that twice."""
        alike = (t for t in self.trials if dict(t.settings) == dict(trial.settings))
        return next((t for t in alike if t.record and (t.succeeded or not t.over)), None)

    def _watch(self, trial: Trial, record: Record) -> None:
        self._watched.add(trial.number)
        self._in_background(lambda: self._follow(trial, record))
        if trial.pruned:
            self._in_background(lambda: self._cancel(trial, record))

    def _follow(self, trial: Trial, record: Record) -> None:
        def heard(known: Record) -> None:
            self._news.put(_News(trial, known, over=False))

        try:
            last: Record | Exception = flow.watch(
                self.client, record, on_news=heard, on_silence=partial(self.on_silence, trial)
            )
        except Exception as error:  # it is raised where somebody hears it
            last = error
        self._news.put(_News(trial, last, over=True))

    def _cancel(self, trial: Trial, record: Record) -> None:
        try:
            self.client.watch(record).cancel()
        except HubtrainError as error:
            self.on_trouble(trial, error)

    def _in_background(self, work: Callable[[], Any]) -> None:
        """Do it in a thread that ends with the process."""
        Thread(target=work, daemon=True).start()

    def _hear(self, news: _News) -> None:
        trial, heard = news.trial, news.heard
        if news.over:
            self._watched.discard(trial.number)
        if isinstance(heard, HubtrainError):
            self._stop_beginning(trial, heard)
            return
        if isinstance(heard, Exception):
            raise heard
        trial.record = heard
        if news.over:
            self._told(trial)
        elif not heard.ended and not trial.pruned:
            self._report(trial, heard)

    def _report(self, trial: Trial, record: Record) -> None:
        for metric in record.story.history:
            value = metric.values.get(self.spec.measure.name)
            if value is not None and self.search.report(trial.number, metric.step, value):
                trial.pruned = True
                self._in_background(lambda: self._cancel(trial, record))
                return

    def _told(self, trial: Trial) -> None:
        """Tell the search what a trial came to that is over, and with it those that are as it."""
        value = trial.value(self.spec.measure) if trial.succeeded else None
        for one in self.trials:
            if one is trial or one.twin == trial.number:
                self.search.tell(one.number, value)
        if trial.succeeded:
            self._failed = 0
        elif (
            trial.record and trial.failed and not trial.pruned and trial.number in self._begun_here
        ):
            self._another_failed(trial.record.story.message)

    def _refused(self, trial: Trial, refused: Refused) -> None:
        wrong = [f for f in refused.report.findings if f.level == "error"]
        trial.refused = "; ".join(f"{f.topic}: {f.text}" for f in wrong)
        self.search.tell(trial.number, None)
        self._another_failed(trial.refused)

    def _not_launched(self, trial: Trial, error: HubtrainError) -> None:
        """Note a trial that could not be launched; where it may have been, nothing more begins."""
        found = [r for r in self.client.records.of_sweep(self.spec.name) if _is(r, trial)]
        trial.record = found[0] if found else None
        if isinstance(error, HubUnreachable) or (trial.record and not trial.record.ended):
            self._stop_beginning(trial, error)
            return
        trial.refused = str(error)
        self.search.tell(trial.number, None)
        self._another_failed(trial.refused)

    def _another_failed(self, why: str) -> None:
        self._failed += 1
        if self._failed < IN_A_ROW:
            return
        self.ended_early = f"{self._failed} trials failed one after the other, the last: {why}"
        if self.queues:
            self._take_out_of_the_queue()

    def _take_out_of_the_queue(self) -> None:
        """Cancel the trials that wait in their place for their turn."""
        for trial in self.trials:
            if trial.record and not trial.over and trial.record.story.started_at is None:
                self._in_background(partial(self._cancel, trial, trial.record))

    def _stop_beginning(self, trial: Trial, error: HubtrainError) -> None:
        if self.ended_early.endswith(f": {error.message}"):  # said of another already
            return
        self.ended_early = f"t{trial.number}: {error.message}"
        self.on_trouble(trial, error)


def _is(record: Record, trial: Trial) -> bool:
    return record.spec.trial is not None and record.spec.trial.number == trial.number
