"""What still costs although nobody needs it any more: found by record and by tag, then stopped.

The third net behind the worker's own stop and the provider's limits. It needs no record: what a
laptop that is gone has left is found by what the provider has of ours. A job that runs as it
should is not garbage, whoever launched it, and neither is one of which too little is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from backends.base import Backend, Found, Status
from backends.errors import JobGone
from backends.handle import Handle
from orchestrator.jobs.archive import archived_events
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from orchestrator.jobs.remote import recalled, swept
from orchestrator.jobs.submit import find_launch
from orchestrator.words import ago
from worker.contract import ENDINGS, Event, JobSpec, Observed, Story, fold
from worker.errors import HubtrainError
from worker.hubclient import endpoint

LATE_SECONDS = 900.0
"""How much longer than its limits a job may live, to push what it has."""

START_SECONDS = 1800.0
"""How much longer a job may take of which nobody heard that it began: it may be starting."""

LATE = "its job is past its limits"

LAUNCH_SECONDS = 60.0
"""How long something without a job is given to get one: it may be being launched elsewhere."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """One machine of ours that lives or costs."""

    found: Found
    backend: Backend[Any]
    why: str = ""
    """Why nobody needs it, or an empty text if somebody does."""

    usd_so_far: float = 0.0

    @property
    def garbage(self) -> bool:
        return bool(self.why)

    def stop(self) -> Status:
        """Stop it and return what the provider says then. Raises `HubtrainError`."""
        self.backend.cancel(self.found.handle)
        return self.backend.look(self.found.handle)


@dataclass(slots=True)
class Sweep:
    """What was found, by handle, and what could not be asked about."""

    leftovers: dict[str, Leftover] = field(default_factory=dict)
    resting: dict[str, tuple[Backend[Any], Found]] = field(default_factory=dict)
    """Machines that neither live nor cost."""

    unanswered: list[str] = field(default_factory=list)


def sweep(
    client: Client, owners: list[str], on_wait: Callable[[float], None] = lambda seconds: None
) -> Sweep:
    """Return what providers have of ours that lives or costs, garbage and running jobs alike.

    Without `owners` the accounts of the token are looked at. What has no job is looked at again
    after `LAUNCH_SECONDS`, which `on_wait` is told of. What cannot be asked about is listed as
    well, and the rest goes on. Raises nothing for it.
    """
    found_all = Sweep()
    known = {record.job_id: record for record in client.records.unfinished()}
    try:
        owners = owners or client.accounts()
    except HubtrainError as error:
        found_all.unanswered.append(f"{endpoint()}: {error}")
    unborn: dict[str, tuple[Backend[Any], Found]] = {}
    for backend, found in _everything(client, known, owners, found_all.unanswered):
        handle = str(found.handle)
        if handle in found_all.leftovers:
            continue
        if not (found.status.alive or found.status.costing):
            found_all.resting[handle] = backend, found
            continue
        try:
            record = known.get(found.job_id) or client.records.find(found.job_id)
            found_all.leftovers[handle] = _judge(client, backend, found, record)
        except JobGone:
            unborn[handle] = backend, found
        except HubtrainError as error:
            found_all.unanswered.append(f"{handle}: {error}")
    if unborn:
        on_wait(LAUNCH_SECONDS)
        client.clock.sleep(LAUNCH_SECONDS)
        _judge_again(client, unborn, found_all)
    return found_all


def _judge_again(
    client: Client, unborn: Mapping[str, tuple[Backend[Any], Found]], found_all: Sweep
) -> None:
    """Judge what had no job: one that has got it meanwhile was only being launched."""
    for handle, (backend, before) in unborn.items():
        try:
            found = replace(before, status=backend.look(before.handle))
            if found.status.alive or found.status.costing:
                found_all.leftovers[handle] = _judge(client, backend, found, None)
        except JobGone:
            found_all.leftovers[handle] = Leftover(found, backend, "its launch was cut short")
        except HubtrainError as error:
            found_all.unanswered.append(f"{handle}: {error}")


def take_back(client: Client, found: Sweep) -> list[str]:
    """Take the secrets back from machines at rest whose jobs have ended; return those that had any.

    A job that may go on by itself, when its machine is started again, keeps what it needs for it.
    """
    held = []
    for handle, (backend, one) in found.resting.items():
        try:
            if backend.holds_secrets(one.handle) and _has_ended(client, backend, one):
                backend.forget_secrets(one.handle)
                held.append(handle)
        except HubtrainError as error:
            found.unanswered.append(f"{handle}: {error}")
    return held


def _has_ended(client: Client, backend: Backend[Any], found: Found) -> bool:
    record = client.records.find(found.job_id)
    if record is not None and record.ended:
        return True
    try:
        spec = record.spec if record else backend.recall(found.handle)
    except JobGone:
        return True
    told = archived_events(spec, client.token, client.clock)
    return any(isinstance(event, ENDINGS) for event in told)


def _everything(
    client: Client, known: Mapping[str, Record], owners: list[str], unanswered: list[str]
) -> Iterator[tuple[Backend[Any], Found]]:
    seen: dict[str, Handle] = {}
    for record in known.values():
        other = "" if record.settled else client.elsewhere(record)
        if other:
            where = record.story.handle or record.job_id
            unanswered.append(f"{where} is of {other}: HF_ENDPOINT={other} hubtrain gc asks there")
            continue
        try:
            backend = client.backend(record)
            if found := _of_record(record, backend):
                yield backend, found
                seen[record.job_id] = found.handle
        except HubtrainError as error:
            unanswered.append(f"{record.story.handle or record.job_id}: {error}")
    for backend, found in swept(client, owners, unanswered):
        if not _is_now_called(backend, seen.get(found.job_id), found.handle):
            yield backend, found


def _is_now_called(backend: Backend[Any], known: Handle | None, listed: Handle) -> bool:
    """Whether a machine on record is listed under another name: one was renamed by hand.

    A second machine of the same job, as a copy of it that somebody made, is not.
    """
    if known is None or known == listed or known.backend != backend.name:
        return False
    with suppress(HubtrainError):
        return backend.listed_as(known) == listed
    return False


def _of_record(record: Record, backend: Backend[Any]) -> Found | None:
    story = record.story
    if record.settled:
        return None
    handle = Handle.parse(story.handle) if story.handle else find_launch(record, backend)
    if handle is None:
        return None
    try:
        return Found(handle, record.job_id, backend.status(handle))
    except JobGone:
        return None


def _judge(client: Client, backend: Backend[Any], found: Found, record: Record | None) -> Leftover:
    """Return what is known of a machine. Raises `JobGone` where it has no job, on record or not."""
    known = record or recalled(client, backend, found)
    spec, events = known.spec, list(known.events)
    if record:
        events += archived_events(spec, client.token, client.clock)
    else:  # that it is seen now does not tell since when it works
        events = [event for event in events if not isinstance(event, Observed)]
    now = client.clock.now()
    # With a record it is known when the machine began to cost, which may be long after it was made.
    made_at = None if record or not found.status.costing else found.made_at
    why, since = _verdict(spec, events, now, made_at)
    if why == LATE and found.status.waiting:
        why = ""
    elif why == LATE and record and record.story.started_at is None and not found.status.costing:
        # It may have waited in a queue until just now: what its worker has said tells.
        events += client.refreshed(record).events
        why, since = _verdict(spec, events, now, made_at)
    hours = (now - since).total_seconds() / 3600
    return Leftover(found, backend, why, hours * spec.machine.usd_per_hour)


def _verdict(
    spec: JobSpec, events: list[Event], now: datetime, made_at: datetime | None
) -> tuple[str, datetime]:
    """Return why nobody needs the job's machine, if that is so, and since when it works.

    Of a job that is on no record and has said nothing, that is since its machine was made: that it
    costs now tells nothing of when it began.
    """
    story = fold(events)
    ended = next((e for e in events if isinstance(e, ENDINGS)), None)
    if ended:
        return f"its job ended {ago(ended.at, now)}", story.started_at or ended.at
    if story.cancel_asked_at:
        return f"you cancelled it {ago(story.cancel_asked_at, now)}", story.started_at or now
    most = spec.limits.seconds(spec.machine.usd_per_hour)
    began = story.started_at or made_at or _costing_since(story, events)
    late = LATE_SECONDS if story.started_at else LATE_SECONDS + START_SECONDS
    if began and (now - began).total_seconds() > most + late:
        return LATE, began
    return "", began or now


def _costing_since(story: Story, events: list[Event]) -> datetime | None:
    """Return since when a job's machine works: from its worker, else from what was seen of it."""
    seen = (event.at for event in events if isinstance(event, Observed) and event.costing)
    return story.started_at or min(seen, default=story.created_at)
