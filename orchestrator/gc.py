"""What still costs although nobody needs it any more: found by record and by tag, then stopped.

The third net behind the worker's own stop and the provider's limits. It needs no record: what a
laptop that is gone has left is found by what the provider has of ours. A job that runs as it
should is not garbage, whoever launched it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import backends
from backends.base import Backend, Found, Status
from backends.errors import JobGone
from backends.handle import Handle
from orchestrator.archive import archived_events
from orchestrator.desk import Desk
from orchestrator.records import Record
from worker.contract import ENDINGS, JobSpec, fold
from worker.errors import HubtrainError


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing at a provider."""

    found: Found
    backend: Backend[Any]
    spec: JobSpec | None
    why: str
    """Why nobody needs it, or an empty text if somebody does."""

    usd_so_far: float = 0.0

    @property
    def garbage(self) -> bool:
        return bool(self.why)


def leftovers(desk: Desk, owners: list[str]) -> list[Leftover]:
    """Return what providers have of ours that lives or costs, garbage and running jobs alike."""
    seen: dict[str, Leftover] = {}
    for backend, found in _everything(desk, owners):
        if str(found.handle) not in seen and (found.status.alive or found.status.costing):
            seen[str(found.handle)] = _judge(desk, backend, found)
    return list(seen.values())


def _everything(desk: Desk, owners: list[str]) -> Iterator[tuple[Backend[Any], Found]]:
    for record in desk.records.all():
        backend = desk.backend(record)
        if (found := _of_record(record, backend)) is not None:
            yield backend, found
    for name in backends.names():
        backend = backends.load(name)(desk.token)
        for owner in owners:
            yield from ((backend, found) for found in backend.sweep(owner))


def _of_record(record: Record, backend: Backend[Any]) -> Found | None:
    story = record.story
    if story.state.final and story.costing is False:
        return None
    handle = Handle.parse(story.handle) if story.handle else _unrecorded(record, backend)
    if handle is None:
        return None
    try:
        return Found(handle, record.job_id, backend.status(handle))
    except JobGone:
        return None


def _unrecorded(record: Record, backend: Backend[Any]) -> Handle | None:
    """Find a launch whose answer never reached the record."""
    try:
        return backend.find(backend.plan(record.spec, backend.options()))
    except HubtrainError:
        return None


def _judge(desk: Desk, backend: Backend[Any], found: Found) -> Leftover:
    spec = _spec(desk, backend, found)
    if spec is None:
        return Leftover(found, backend, None, "its job cannot be read any more")
    events = list(_known_events(desk, spec))
    events += archived_events(spec, desk.token)
    story, now = fold(events), desk.clock.now()
    spent = story.cost(spec.machine.usd_per_hour, now) if story.started_at else 0.0
    ended = next((e for e in events if isinstance(e, ENDINGS)), None)
    if ended:
        cost = (now - (story.started_at or ended.at)).total_seconds() / 3600
        spent = cost * spec.machine.usd_per_hour
        return Leftover(found, backend, spec, f"job finished {ended.at:%Y-%m-%d %H:%M} UTC", spent)
    limit = spec.limits.max_seconds
    if limit and story.seconds(now) > limit:
        return Leftover(found, backend, spec, "job is past its --max-duration", spent)
    return Leftover(found, backend, spec, "", spent)


def _spec(desk: Desk, backend: Backend[Any], found: Found) -> JobSpec | None:
    known = next((r for r in desk.records.all() if r.job_id == found.job_id), None)
    if known:
        return known.spec
    try:
        return backend.recall(found.handle)
    except HubtrainError:
        return None


def _known_events(desk: Desk, spec: JobSpec) -> Iterator[Any]:
    for record in desk.records.all():
        if record.job_id == spec.job_id:
            yield from record.events


def stop(leftover: Leftover) -> Status:
    """Stop it and return what the provider says then."""
    leftover.backend.cancel(leftover.found.handle)
    try:
        return leftover.backend.status(leftover.found.handle)
    except JobGone:
        return Status(alive=False, costing=False, stage="gone")
