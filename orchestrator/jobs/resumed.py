"""Finds the job that somebody wants to go on with, also one that another machine made."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from backends.errors import PlanRefused
from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import Order
from worker import checkpoints
from worker.archive import archived_events
from worker.contract import JOB_FILE, Checkpoint, JobSpec, Observed, State, branch_of
from worker.errors import BadConfig, NotThere
from worker.hubclient import hub, patiently
from worker.hubfile import fetch

_BRANCH = branch_of("")


def job_to_resume(client: Client, name: str) -> Record:
    """Return the job of this name, as its provider knows it now, or that of a model repo.

    Raises `HubtrainError`.
    """
    if "/" in name and "://" not in name and not client.records.ids(name):
        record = _of_repo(client, name)
    else:
        record = client.refreshed(_latest_of(client, name) or client.record(name))
        record = _followed(client, record)
    return _with_what_is_there(client, record)


def _followed(client: Client, record: Record) -> Record:
    """Return the job with its model repo by the name that it has now.

    The Hub knows a renamed one by both, but only until there is another by the old name; and the
    job that goes on would make that.
    """
    push = record.spec.push
    if push is None or client.token is None or not _is_over(record):
        return record
    ask = partial(hub(client.token).model_info, push.repo_id)
    try:
        now = patiently(f"looking for {push.repo_id}", ask, client.clock)
    except NotThere:
        return record
    return _pushing_to(now.id, record)


def _pushing_to(repo_id: str, record: Record) -> Record:
    push = record.spec.push
    if push is None or push.repo_id == repo_id:
        return record
    there = push.model_copy(update={"repo_id": repo_id})
    return replace(record, spec=record.spec.model_copy(update={"push": there}))


def _with_what_is_there(client: Client, record: Record) -> Record:
    """Return the job with the last checkpoint that is on the Hub, whoever has told of it.

    A worker that was killed may not have, and events beside a checkpoint cannot know its commit.
    """
    spec = record.spec
    if spec.push is None or client.token is None or not _is_over(record):
        return record
    repo_id = spec.push.repo_id
    ask = partial(checkpoints.found, repo_id, spec.branch, client.token)
    there = patiently(f"looking for checkpoints in {repo_id}", ask, client.clock)
    last = next((one for one in there if one.serves(spec.task)), None)
    if last is None:
        return record
    behind = max((e.seq for e in record.events if e.source == "worker"), default=0) + 1
    found = Checkpoint(step=last.step, where=f"{repo_id}@{last.commit}", seq=behind)
    return replace(record, events=(*record.events, found))


def _is_over(record: Record) -> bool:
    """Whether the job has ended without its model."""
    state = record.story.state
    return state.final and state is not State.SUCCEEDED


def successor(client: Client, record: Record) -> Record | None:
    """Return the job that has gone on with this one and made its model; none if none has."""
    refreshed = map(client.refreshed, client.records.continuing(record.job_id))
    return next((one for one in refreshed if one.story.state is State.SUCCEEDED), None)


def refuse_twice(order: Order, jobs: Iterable[Glance]) -> None:
    """Raise `BadConfig` where one of `jobs` goes on with the same training.

    Of two, the model of one would hide that of the other.
    """
    continued = set(order.start.jobs) if order.start else set()
    for job in jobs:
        if not job.final and continued & set(job.resumes):
            raise BadConfig(
                f"{job.job_id} goes on with this training already, with other settings.",
                fix=f"hubtrain logs -f {job.job_id} or hubtrain cancel {job.job_id}",
            )


def _latest_of(client: Client, project: str) -> Record | None:
    """Return where a training stands that several jobs of a project have gone on with.

    That is the last of them; but while it runs or when it has succeeded, the one before: then the
    same command finds the same job. None where the jobs are of different trainings, or one.
    """
    ids = client.records.ids(project)
    if len(ids) < 2:  # noqa: PLR2004
        return None
    last = client.refreshed(client.records.get(ids[0]))
    begun = last.spec.start
    if begun is None or not set(ids[1:]) <= set(begun.jobs):
        return None
    return last if _is_over(last) else client.records.get(begun.jobs[-1])


def _of_repo(client: Client, repo_id: str) -> Record:
    """Return the job that left checkpoints in a repo, known here or not."""
    ask = partial(hub(client.token).list_repo_refs, repo_id)
    refs = patiently(f"looking into {repo_id}", ask, client.clock)
    ids = [b.name.removeprefix(_BRANCH) for b in refs.branches if b.name.startswith(_BRANCH)]
    ids = [one for one in ids if checkpoints.found(repo_id, branch_of(one), client.token)]
    if len(ids) != 1:
        raise BadConfig(
            f"{repo_id} has checkpoints of {', '.join(ids)}." if ids else f"{repo_id} has none.",
            fix="Type the job that you mean."
            if ids
            else "hubtrain jobs lists those of this machine.",
        )
    with suppress(BadConfig):
        return _pushing_to(repo_id, client.refreshed(client.records.get(ids[0])))
    return _pushing_to(repo_id, _unknown_here(client, repo_id, ids[0]))


def _unknown_here(client: Client, repo_id: str, job_id: str) -> Record:
    """Return a job that another machine made, as its worker wrote it down."""
    file = fetch(repo_id, JOB_FILE, branch_of(job_id), client.token)
    if file is None:
        raise NotThere(f"{repo_id} does not say which job {job_id} was.")
    spec = JobSpec.model_validate_json(file.text)
    with suppress(PlanRefused, ValueError):
        backend = client.provider(spec.machine.backend)
        if handle := backend.find(backend.plan(spec)):
            return client.refreshed(client.records.adopt(spec, str(handle), client.clock.now()))
    gone = Observed(stage="gone", alive=False, costing=False, at=client.clock.now())
    return Record(spec, (*archived_events(spec, client.token), gone))
