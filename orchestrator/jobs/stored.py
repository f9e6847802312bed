"""The private datasets that packed data went to: which there are, which a job still reads.

They cost no machine time but room, and stay after their jobs so that the same data need not be
sent twice. Nothing here removes one that a job may still read, or that hubtrain did not make.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from backends.errors import JobGone
from orchestrator.data.package.notes import notes
from orchestrator.data.package.upload import is_packed
from orchestrator.jobs.client import Client
from orchestrator.jobs.gc import START_SECONDS, Leftover
from orchestrator.jobs.holding import held_alone
from worker.contract import JobSpec
from worker.errors import HubtrainError, NotThere
from worker.hubclient import hub, patiently


class InUse(HubtrainError):
    """A dataset that a job reads, or is about to."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One dataset of packed data."""

    repo_id: str
    size_bytes: int
    used_by: tuple[str, ...]
    """Jobs that have not ended and read it."""

    arriving: bool = False
    """Whether it was sent just now by no job on record here: one may be launched elsewhere."""

    used_until: datetime | None = None
    """Until when, at most, another computer uses it; none where none has noted that."""

    @property
    def free(self) -> bool:
        """Whether nobody needs it."""
        return not self.used_by and not self.arriving and self.used_until is None

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"repo_id": self.repo_id, "bytes": self.size_bytes, "used_by": list(self.used_by)}


def stored(client: Client, owners: Iterable[str], machines: Iterable[Leftover]) -> list[Stored]:
    """Return the datasets of `owners`, those of running `machines` marked. Raises `HubError`."""
    api, users = hub(client.token), _users(client, machines)
    known = {repo_id for record in client.records.all() for repo_id in _repos(record.spec)}
    freshest = client.clock.now() - timedelta(seconds=START_SECONDS)
    found = []
    for owner in owners:
        ask = partial(_names, api, owner)
        for repo_id in patiently(f"listing the datasets of {owner}", ask, client.clock):
            look = partial(api.dataset_info, repo_id, files_metadata=True)
            with suppress(NotThere):
                info = patiently(f"looking at {repo_id}", look, client.clock)
                size = sum(s.size or 0 for s in info.siblings or [])
                jobs = tuple(sorted(users.get(repo_id, ())))
                fresh = info.last_modified is not None and info.last_modified > freshest
                arriving = fresh and repo_id not in known
                until = notes(repo_id, api, client.clock).used_until()
                found.append(Stored(repo_id, size, jobs, arriving, until))
    return found


def packed_data(spec: JobSpec) -> str | None:
    """Return the dataset that was made for a job's data; none where the user named one."""
    repo_id = spec.data.repo_id
    return repo_id if repo_id and is_packed(repo_id) else None


def _repos(spec: JobSpec) -> set[str]:
    """Return the datasets that a job reads: its data, and files that go along."""
    return {ref.repo_id for ref in (spec.data, spec.files) if ref and ref.repo_id}


def readers(client: Client, repo_id: str) -> list[str]:
    """Return the jobs on record here that have not ended, as far as is known, and read it."""
    reading = (r for r in client.records.unfinished() if repo_id in _repos(r.spec))
    return [r.job_id for r in reading if not client.refreshed(r).story.state.final]


def discard(client: Client, repo_id: str) -> bool:
    """Delete a dataset of packed data, and return whether it was there.

    Raises `InUse` where a job that reads it has not ended or is being submitted from here, and
    `HubError`.
    """
    if not is_packed(repo_id):
        raise ValueError(f"{repo_id} was not made by hubtrain")
    api = hub(client.token)
    remove = partial(api.delete_repo, repo_id, repo_type="dataset")
    with held_alone(repo_id) as free, suppress(NotThere):
        if not free:
            raise InUse(f"{repo_id} stays: it is being sent for a job.", fix="Again, later.")
        if used := readers(client, repo_id):  # written down since it was asked last
            raise InUse(f"{repo_id} stays: {', '.join(used)} reads it.", fix="Again, later.")
        if not notes(repo_id, api, client.clock).may_remove():
            raise InUse(f"{repo_id} stays: another computer uses it.", fix="Again, later.")
        patiently(f"removing the dataset {repo_id}", remove, client.clock)
        return True
    return False


def _names(api: Any, owner: str) -> list[str]:
    return sorted(d.id for d in api.list_datasets(author=owner) if is_packed(d.id))


def _users(client: Client, machines: Iterable[Leftover]) -> dict[str, set[str]]:
    open_jobs = client.records.unfinished()
    specs = [
        record.spec
        for record in open_jobs
        if not record.story.state.final and not client.elsewhere(record)
        if not client.refreshed(record).story.state.final
    ]
    for one in machines:
        if not one.garbage and client.records.find(one.found.job_id) is None:
            with suppress(JobGone):
                specs.append(one.backend.recall(one.found.handle))
    users: dict[str, set[str]] = {}
    for spec in specs:
        for repo_id in _repos(spec):
            users.setdefault(repo_id, set()).add(spec.job_id)
    return users
