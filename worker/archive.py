"""What a job's worker left on the Hub: its events, and its last lines where something failed.

A worker reads it too: a Space that the Hub restarts finds there that its job has ended.
"""

from __future__ import annotations

from collections.abc import Iterator

from worker.contract import (
    EVENTS_FILE,
    LOG_TAIL_FILE,
    Event,
    JobSpec,
    Pushed,
    Started,
    ending_of,
    from_line,
)
from worker.hubfile import HubFile, fetch


def archived_events(spec: JobSpec, token: str | None) -> list[Event]:
    """Return the events of this job that are on the Hub; none where it left none.

    Looks at the branch a job leaves where something failed, then beside the model, which may be
    another job's; events that tell the end go first. Raises `HubError`; may be repeated.
    """
    left: list[Event] = []
    for events in _left(spec, token):
        if ending_of(events):
            return events
        left = left or events
    return left


def archived_log(spec: JobSpec, token: str | None) -> list[str]:
    """Return the last lines of a job with a failure. Raises `HubError`; may be repeated."""
    found = spec.push and fetch(spec.push.repo_id, LOG_TAIL_FILE, spec.branch, token)
    return _lines(found) if found else []


def _left(spec: JobSpec, token: str | None) -> Iterator[list[Event]]:
    for revision in (spec.branch, "main") if spec.push else ():
        assert spec.push is not None
        found = fetch(spec.push.repo_id, EVENTS_FILE, revision, token)
        if found is None:
            continue
        events = [event for line in _lines(found) if (event := from_line(line)) is not None]
        if any(isinstance(e, Started) and e.job_id == spec.job_id for e in events):
            yield [_placed(event, found.commit) for event in events]


def _lines(file: HubFile) -> list[str]:
    # Not `splitlines`: JSON leaves marks such as U+2028 as they are, within a line.
    text = file.text.rstrip("\n")
    return text.split("\n") if text else []


def _placed(event: Event, commit: str) -> Event:
    """A push cannot know its own commit, so its events leave the place open."""
    if isinstance(event, Pushed) and not event.commit:
        return event.model_copy(update={"commit": commit})
    return event
