"""The state of a job. It is never stored: `fold` computes it from the job's events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from worker.contract.events import (
    REPLACED,
    CancelAsked,
    Checkpoint,
    Chosen,
    Created,
    Event,
    Failed,
    Finished,
    Launched,
    Metric,
    Observed,
    Phase,
    Progress,
    Pushed,
    Started,
    Stopped,
)
from worker.contract.reason import EndReason

Ending = Finished | Failed | Stopped

CLOCKS_APART = timedelta(minutes=5)
"""How much later than a stop its wish may seem to have been, by another machine's clock."""


class State(StrEnum):
    """Where a job is. The last four are final."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def final(self) -> bool:
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST}


class Story(BaseModel):
    """What a job's events add up to."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    state: State = State.CREATED
    reason: EndReason | None = None
    message: str = ""
    detail: str = ""
    phase: str = ""
    handle: str | None = None
    url: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    heard_at: datetime | None = None
    """When the worker said something last."""

    chosen: dict[str, bool | int] = {}
    """What the worker chose for its machine, by the names of settings where there is one."""

    progress: Progress | None = None
    history: list[Metric] = []
    last_checkpoint: Checkpoint | None = None
    pushed_checkpoint: Checkpoint | None = None
    """The last one that is on the Hub."""

    pushed: Pushed | None = None
    output: str | None = None
    machine: Observed | None = None
    billed_until: datetime | None = None
    """Since when a machine is known to cost nothing that was seen costing after the job's end."""

    cancel_asked_at: datetime | None = None
    """When its user wished it to end, whatever came of that."""

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of everything that was measured."""
        return {name: v for metric in self.history for name, v in metric.values.items()}

    @property
    def costing(self) -> bool | None:
        """Whether the provider still bills; none if it has not been asked."""
        return self.machine.costing if self.machine else None

    def checkpoint_kept(self, *, keeps_disk: bool) -> Checkpoint | None:
        """Return the last checkpoint that outlives the machine; none where there is none.

        `keeps_disk`: whether what lies on the machine's disk is still there afterwards.
        """
        last, pushed = self.last_checkpoint, self.pushed_checkpoint
        further = last is not None and (pushed is None or last.step > pushed.step)
        return last if keeps_disk and further else pushed

    def seconds(self, now: datetime) -> float:
        """Return how long the worker has run, or ran, in seconds."""
        if self.started_at is None:
            return 0.0
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())

    @property
    def overdue(self) -> bool:
        """Whether its machine was seen costing after its end, and has not been seen to stop."""
        seen, ended = self.machine, self.ended_at
        return bool(seen and seen.costing and ended and seen.at > ended)

    def cost(self, usd_per_hour: float, now: datetime) -> float:
        """Return what its machine has cost, in US dollars; the provider rounds to the minute.

        That is the time of the worker, and what a machine that did not stop with it goes on for.
        """
        if self.started_at is None:
            return 0.0
        until = now if self.overdue else self.billed_until or self.ended_at or now
        return max(0.0, (until - self.started_at).total_seconds()) / 3600 * usd_per_hour


def ending_of(events: Iterable[Event]) -> Ending | None:
    """Return how a job ended, as the first who told it has told it; none if nobody has."""
    return next((event for event in events if isinstance(event, Finished | Failed | Stopped)), None)


def fold(events: Iterable[Event]) -> Story:
    """Return what `events` add up to, in whatever order and however often they are given.

    The worker's own ending outranks what a provider says. A job is lost only as long as nobody
    tells its end. It counts as over when its worker said something last or its machine was last
    seen alive, since that it is gone may have been seen days later.
    """
    story, seen = Story(), []
    for event in _in_order(events):
        _apply(story, event)
        if isinstance(event, Observed):
            seen.append(event)
        if event.source == "worker":
            story.heard_at = event.at
    if story.machine and not story.machine.alive and not story.state.final:
        _lose(story, story.machine)
        alive = [at for at in (story.heard_at, *(one.at for one in seen if one.alive)) if at]
        story.detail, story.ended_at = story.machine.detail, max(alive, default=story.machine.at)
        if story.cancel_asked_at:
            story.state, story.reason, story.message = State.CANCELLED, EndReason.USER, ""
    if story.ended_at:
        story.billed_until = _billed_until(seen, story.ended_at)
    return story


def _lose(story: Story, machine: Observed) -> None:
    """Say of a job that its machine is gone and nobody has told its end."""
    story.state, story.reason = State.LOST, EndReason.WORKER_DIED
    story.message = f"The machine stopped ({machine.stage}) without a last word."
    if story.phase == REPLACED:
        story.reason = EndReason.PREEMPTED
        story.message = f"The machine was taken away, and no other came ({machine.stage})."


def _in_order(events: Iterable[Event]) -> list[Event]:
    """Return each event once, those of a source in the order in which it told them.

    What the laptop saw comes first and an ending that it told comes last: neither depends on when
    the worker's events were read. Events that have no numbers yet are in the order they came in.
    """
    came = list(events)
    if not all(event.seq for event in came):
        return came
    found: dict[tuple[str, int], Event] = {}
    for event in came:
        found.setdefault((event.source, event.seq), event)
    return sorted(found.values(), key=_rank)


def _rank(event: Event) -> tuple[int, int]:
    if event.source == "worker":
        return 1, event.seq
    return 2 if isinstance(event, Ending) else 0, event.seq


def _billed_until(seen: Iterable[Observed], ended: datetime) -> datetime | None:
    """Return when a machine that cost on after `ended` was first seen to have stopped."""
    cost_on, until = False, None
    for one in seen:
        if one.at > ended and one.costing:
            cost_on, until = True, None
        elif cost_on and until is None:
            until = one.at
    return until


def _apply(story: Story, event: Event) -> None:  # noqa: C901, PLR0912 (one arm an event)
    match event:
        case Created():
            story.created_at = event.at
        case Launched():
            # Two processes may launch the same job; the second one reports late.
            story.state = State.QUEUED if story.state is State.CREATED else story.state
            story.handle = event.handle
            story.url = event.url or story.url
        case Started():
            if not story.state.final:
                story.state = State.RUNNING
            story.started_at = story.started_at or event.at
            story.phase = "" if story.phase == REPLACED else story.phase
            story.url = story.url or event.page
        case Phase():
            story.phase = event.name
        case Chosen():
            story.chosen |= event.settings
        case Progress():
            _take_progress(story, event)
        case Metric():
            story.history.append(event)
        case Checkpoint():
            _take_checkpoint(story, event)
        case Pushed():
            story.pushed = event
        case CancelAsked():
            story.cancel_asked_at = story.cancel_asked_at or event.at
        case Observed():
            story.machine, story.url = event, event.url or story.url
        case Finished() | Failed() | Stopped():
            _end(story, event)


def _take_progress(story: Story, event: Progress) -> None:
    """Note how far training is. A step back is a machine that went on from a checkpoint.

    What had been measured after that checkpoint was lost with it and is measured anew.
    """
    if story.progress and event.step < story.progress.step:
        story.history = [metric for metric in story.history if metric.step <= event.step]
    story.progress, story.phase = event, ""


def _take_checkpoint(story: Story, event: Checkpoint) -> None:
    """Note a checkpoint. One that was sent may be behind what the machine has written since."""
    last = story.last_checkpoint
    if not (event.on_hub and last and last.step > event.step):
        story.last_checkpoint = event
    if event.on_hub:
        story.pushed_checkpoint = event


def _end(story: Story, event: Finished | Failed | Stopped) -> None:
    done = isinstance(event, Finished) and story.state is not State.SUCCEEDED
    if story.state.final and not done:  # the first ending counts; later ones are consequences of it
        return
    story.ended_at = event.at
    match event:
        case Finished():  # also if somebody asked to stop, but too late
            story.state, story.reason, story.output = State.SUCCEEDED, EndReason.OK, event.output
            story.message, story.detail = event.note, ""
        case Failed():
            story.state, story.reason = State.FAILED, event.reason
            story.message, story.detail = event.message, event.detail
        case Stopped():
            # A worker whose machine is stopped from outside does not know who asked for it.
            asked = story.cancel_asked_at
            before = asked is not None and asked <= event.at + CLOCKS_APART
            wished = before and event.reason is EndReason.PREEMPTED
            reason = EndReason.USER if wished else event.reason
            user = reason is EndReason.USER
            story.state = State.CANCELLED if user else State.FAILED
            story.reason, story.message = reason, "" if wished else event.message
