"""One trial of a sweep, as far as it is known: its settings, its job, what it measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import worker.tasks
from orchestrator.jobs.records import Record
from worker.common import keeps_the_best
from worker.contract import State
from worker.task import Measure


@dataclass
class Trial:
    """One trial."""

    number: int
    settings: Mapping[str, Any]
    """What is tried, by the settings' names."""

    record: Record | None = None
    """Its job; none before there is one."""

    refused: str = ""
    """Why there is no job: what the check or the launch says."""

    twin: int | None = None
    """The trial that has the very same settings, and whose outcome is this one's, too."""

    pruned: bool = False

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        if self.record is None:
            return bool(self.refused) or self.twin is not None
        return self.record.story.state.final

    @property
    def succeeded(self) -> bool:
        """Whether there is a model of it."""
        return self.record is not None and self.record.story.state is State.SUCCEEDED

    @property
    def failed(self) -> bool:
        """Whether it ended with something wrong; nothing is with one that somebody cancelled."""
        return self.record is not None and self.record.story.state in {State.FAILED, State.LOST}

    def value(self, measure: Measure) -> float | None:
        """Return what it measured of `measure`; none so far.

        That is the newest, or the best where the best of its models is kept.
        """
        story = self.record.story if self.record else None
        found = (
            [v for m in story.history if (v := m.values.get(measure.name)) is not None]
            if story
            else []
        )
        if not found or self.record is None:
            return None
        if _keeps_the_best(self.record, measure):
            return max(found) if measure.better == "higher" else min(found)
        return found[-1]

    def usd(self, now: datetime) -> float:
        """Return what it has cost, in US dollars."""
        if self.record is None:
            return 0.0
        return self.record.story.cost(self.record.spec.machine.usd_per_hour, now)

    @property
    def model(self) -> str | None:
        """Repo or folder of its model; none before there is one."""
        story = self.record.story if self.record else None
        return (story.pushed.repo_id if story.pushed else story.output) if story else None


def best_of(trials: Iterable[Trial], measure: Measure) -> Trial | None:
    """Return the trial whose model is the best, the first of equals; none while there is none."""
    done = [t for t in trials if t.succeeded and t.value(measure) is not None]
    return min(done, key=lambda t: rank(t, measure), default=None)


def rank(trial: Trial, measure: Measure) -> tuple[float, int]:
    """Return what trials are sorted by, the best first and those without a value last."""
    value = trial.value(measure)
    if value is None:
        return float("inf"), trial.number
    return (-value if measure.better == "higher" else value), trial.number


def _keeps_the_best(record: Record, measure: Measure) -> bool:
    task, params = worker.tasks.asked(record.spec)
    return keeps_the_best(params) and task.measures(params)[0] == measure
