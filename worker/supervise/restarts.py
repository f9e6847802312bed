"""Machines that are started again and again: how often is told, and it ends if it leads nowhere.

A job that its provider starts again goes on from its last checkpoint. As long as each start gets
further than the one before, that may go on for ever. Where several get no further, the next would
not either, and each of them costs.
"""

from __future__ import annotations

from collections.abc import Iterable

from worker.contract import (
    EVENTS_FILE,
    Checkpoint,
    EndReason,
    Event,
    Failed,
    PushTarget,
    Started,
)
from worker.errors import HubError
from worker.supervise.journal import jsonl
from worker.supervise.live import Live
from worker.supervise.push import push_record
from worker.timeout import within

STARTS = 3
"""Starts that may leave no further checkpoint."""

TELLING_SECONDS = 30.0


def in_circles(events: Iterable[Event]) -> Failed | None:
    """Return the ending of a job that was started `STARTS` times and got no further; else none."""
    starts = furthest = 0
    for event in events:
        if isinstance(event, Started):
            starts += 1
        elif isinstance(event, Checkpoint) and event.step > furthest:
            starts, furthest = 0, event.step
    if starts < STARTS:
        return None
    where = f"step {furthest}" if furthest else "its first checkpoint"
    return Failed(
        reason=EndReason.WORKER_DIED,
        message=f"The machine was started {starts} times without getting further than {where}. "
        "It is not started again.",
    )


def tell_start(live: Live, target: PushTarget) -> None:
    """Leave on the Hub that the job was started, for a start that finds nothing else of it.

    Raises nothing: a job is worth more than what is known of it.
    """

    def push() -> None:
        push_record(live.spec, target, live.host.token, {EVENTS_FILE: jsonl(live.journal.events)})

    try:
        within(TELLING_SECONDS, push, "telling that the job was started")
    except HubError as error:
        live.journal.log(f"That the job was started is not on the Hub: {error}")
