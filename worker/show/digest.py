"""A shorter list of a long job's events, enough to show its state and draw its curves.

The page reads the events every two seconds, which must stay cheap after a million steps. So of old
steps only some are kept and drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

from worker.contract import VALID, Event, Metric, Progress

MOST = 1000
"""Steps that are kept; above twice as many, every second one is dropped."""


class Digest:
    """Takes a growing list of events and returns one that does not grow. Safe for threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._read = 0
        self._kept: list[Event] = []
        self._lock = threading.Lock()

    def of(self, events: list[Event]) -> list[Event]:
        """Return the digest of `events`: those of the last call with more, or a new list."""
        with self._lock:
            if len(events) < self._read or (self._kept and events[0] is not self._kept[0]):
                self._read, self._kept = 0, []
            self._kept += events[self._read :]
            self._read = len(events)
            while sum(map(_is_step, self._kept)) > 2 * self._most:
                self._kept = _halved(self._kept)
            return list(self._kept)


def _halved(events: list[Event]) -> list[Event]:
    """Return every second step, the last event of each kind, and all events that are no steps."""
    numbers: dict[type, Iterator[int]] = {Progress: count(), Metric: count()}
    last = {type(event): event for event in events}
    return [
        event
        for event in events
        if not _is_step(event) or next(numbers[type(event)]) % 2 == 0 or event is last[type(event)]
    ]


def _is_step(event: Event) -> bool:
    """Whether an event is one of many alike; what a validation measured is not."""
    if isinstance(event, Metric):
        return not any(name.startswith(VALID) for name in event.values)
    return isinstance(event, Progress)
