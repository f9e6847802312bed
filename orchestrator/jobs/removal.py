"""Jobs deleted: what they left at their provider, their record, their packed data. Models stay."""

from __future__ import annotations

from dataclasses import dataclass

from backends.handle import Handle
from orchestrator.document import Document
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import clear_launch
from worker.contract import State
from worker.errors import BadConfig, HubtrainError


class RemovedJob(Document):
    """What became of a job that was to be deleted."""

    job: str
    data: str | None = None
    """The private dataset of its packed data; none where there is none."""

    data_removed: bool = False
    """Whether that is deleted, too."""

    problem: str | None = None
    """What kept some of it; none where nothing did."""


@dataclass(frozen=True, slots=True)
class Data:
    """What became of the packed data of a job that is deleted."""

    repo_id: str | None = None
    removed: bool = False
    used: str = ""
    """Why it stays although it was to go: somebody else's job reads it."""

    failed: HubtrainError | None = None

    def document(self, job_id: str) -> RemovedJob:
        """Return it as a document about its job."""
        problem = self.failed.message if self.failed else None
        return RemovedJob(job=job_id, data=self.repo_id, data_removed=self.removed, problem=problem)


def remove_job(client: Client, record: Record, *, force: bool) -> None:
    """Delete what a job left and its record; with `force` also one that runs, which is stopped.

    May be repeated. Raises `BadConfig` for one that runs, `HubtrainError` where it cannot be known.
    """
    record = client.refreshed(record)
    if record.unanswered:
        raise HubtrainError(
            f"{record.job_id} cannot be asked about: {record.unanswered}",
            fix=f"hubtrain rm --forget {record.job_id} deletes its record alone.",
        )
    if not record.story.state.final and record.story.handle:
        if not force:
            raise BadConfig(f"{record.job_id} still runs.", fix="--force stops it first")
        watch = client.watch(record)
        record = watch.cancel()
        if watch.problem:
            raise watch.problem
    for one in client.records.continuing(record.job_id):
        client.refreshed(one)  # one that has ended, or got further, is not in the way
    _remove(client, record)


def _remove(client: Client, record: Record) -> None:
    """Delete what a job left, then its record, which says when that has begun."""
    if not client.elsewhere(record):
        client.records.begin_removal(record.job_id)
        if record.story.handle:
            client.backend(record).remove(Handle.parse(record.story.handle))
        elif record.story.state is not State.FAILED:  # a launch that is refused leaves nothing
            clear_launch(record, client.backend(record))
    client.records.remove(record.job_id, client.clock.now())


def finish_removals(client: Client, unanswered: list[str]) -> list[str]:
    """End the removals that were cut short; returns their jobs. Who does not answer is noted."""
    done = []
    for job_id in client.records.being_removed():
        record = client.records.find(job_id)
        if record is None or client.elsewhere(record):
            continue
        try:
            _remove(client, record)
            done.append(job_id)
        except HubtrainError as error:
            unanswered.append(f"{job_id}: {error}")
    return done


def data_of(client: Client, record: Record, *, remove: bool) -> Data:
    """Return what there is of a job's packed data, and delete it if it is to go and may."""
    from orchestrator.jobs.stored import InUse, discard, packed_data

    repo_id = packed_data(record.spec)
    if repo_id is None or not remove:
        return Data(repo_id)
    try:
        return Data(repo_id, removed=discard(client, repo_id))
    except InUse as used:
        return Data(repo_id, used=used.message)
    except HubtrainError as error:
        return Data(repo_id, failed=error)
