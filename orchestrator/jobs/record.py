"""One job as this laptop knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from orchestrator.forecast import Forecast
from worker.contract import ENDINGS, Event, JobSpec, Story, fold


@dataclass(frozen=True)
class Record:
    """One job as this laptop knows it."""

    spec: JobSpec
    events: tuple[Event, ...]
    hub: str = ""
    """Address of the Hub it was made for; empty where an earlier version did not note it."""

    asked_at: datetime | None = None
    """When its provider answered last."""

    forecast: Forecast | None = None
    """What was expected of it; none where nobody estimated it, or an earlier version made it."""

    unanswered: str = ""
    """Why its provider could not be asked just now; empty if it was, or did not need to be."""

    @property
    def job_id(self) -> str:
        return self.spec.job_id

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the job was made."""
        return now - (self.story.created_at or now)

    @property
    def settled(self) -> bool:
        """Whether nothing more can be learnt of it: it has ended, and costs nothing any more."""
        return self.ended and (self.story.handle is None or self.story.costing is False)

    def awaits(self, job_id: str) -> bool:
        """Whether it has still to begin at a checkpoint on the disk of this other job."""
        start, story = self.spec.start, self.story
        begun = story.last_checkpoint is not None or story.state.final
        return start is not None and start.lies_with(job_id) and not begun

    @property
    def as_of(self) -> datetime | None:
        """Since when what is known of it has not been confirmed."""
        return self.asked_at or max((event.at for event in self.events), default=None)

    def known_at(self, now: datetime) -> datetime:
        """Return the time for which it is true what the record says."""
        return (self.as_of or now) if self.unanswered else now

    @property
    def ended(self) -> bool:
        """Whether somebody who knows has said how the job ended."""
        return any(isinstance(event, ENDINGS) for event in self.events)

    @cached_property
    def story(self) -> Story:
        """What the events add up to."""
        return fold(self.events)
