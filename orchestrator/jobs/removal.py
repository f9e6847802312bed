"""Deleting a job: what it left at its provider, then its record. Its model stays."""

from __future__ import annotations

from backends.handle import Handle
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.errors import BadConfig, HubtrainError


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
    if record.story.handle and not client.elsewhere(record):
        for one in client.records.continuing(record.job_id):
            client.refreshed(one)  # one that has ended, or got further, is not in the way
        client.records.begin_removal(record.job_id)
        client.backend(record).remove(Handle.parse(record.story.handle))
    client.records.remove(record.job_id)
