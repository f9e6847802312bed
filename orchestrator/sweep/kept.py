"""A sweep as this machine has it, for who looks at it and does not run it."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.jobs.client import Client
from orchestrator.jobs.removal import RemovedJob, data_of, remove_job
from orchestrator.sweep.chosen import search_of
from orchestrator.sweep.documents import Sweep, document
from orchestrator.sweep.spec import END, SweepSpec, folder_of, forget, halt, is_run
from orchestrator.sweep.trial import Trial
from worker.errors import BadConfig, HubtrainError

LOOK_SECONDS = 0.5
END_SECONDS = 60.0
"""How long the process of a sweep may take to end once it is told to."""

UNATTENDED = "no process runs it any more"


def trials(client: Client, spec: SweepSpec) -> list[Trial]:
    """Return the trials that have jobs, by number: none were refused, or are still to begin."""
    found = [
        Trial(
            record.spec.trial.number,
            {one.setting: record.spec.params.get(one.setting) for one in spec.space},
            record,
        )
        for record in client.records.of_sweep(spec.name)
        if record.spec.trial
    ]
    return sorted(found, key=lambda trial: trial.number)


def leave(found: Sweep) -> None:
    """Keep what whoever ran a sweep knows of it, and no record does."""
    path = folder_of(found.sweep) / END
    path.write_text(found.model_dump_json(by_alias=True), encoding="utf-8")


def seen(client: Client, spec: SweepSpec) -> Sweep:
    """Return a sweep as it is now, whoever runs it. Raises `HubtrainError`.

    Providers are asked of its trials where no process does.
    """
    runs = is_run(spec.name)
    known = trials(client, spec)
    if not runs:
        known = [replace(one, record=client.refreshed(one.record)) for one in known if one.record]
    left = _left(spec.name)
    if left is not None:
        known = _with(known, left)
    total = left.total if left else search_of(spec, keeps=False).total
    over = len(known) >= total and all(trial.over for trial in known)
    early = (left.ended_early if left else None) or ("" if over else UNATTENDED)
    found = document(
        spec,
        total,
        known,
        client.clock.now(),
        ended_early="" if runs else early,
        worth=left.worth if left else {},
        running=runs,
    )
    if left is None:
        return found
    return found.model_copy(update={"model": left.model or found.model, "removed": left.removed})


def _with(known: list[Trial], left: Sweep) -> list[Trial]:
    """Return the trials with what no record tells of them: those without a job among them."""
    jobs = {one.number: one for one in known}
    for told in left.trials:
        refused = Trial(told.trial, told.settings, refused=told.refused or "", twin=told.as_)
        trial = jobs.setdefault(told.trial, refused)
        trial.pruned = told.pruned
    return [jobs[number] for number in sorted(jobs)]


def stop(client: Client, spec: SweepSpec) -> None:
    """Stop all trials of a sweep, and let none begin. Raises `HubtrainError` where one goes on."""
    halt(spec.name)
    problems = []
    for trial in trials(client, spec):
        if trial.record and not trial.record.settled:
            watch = client.watch(trial.record)
            watch.cancel()
            problems += [watch.problem] if watch.problem else []
    if problems:
        raise problems[0]


def _left(name: str) -> Sweep | None:
    try:
        return Sweep.model_validate_json((folder_of(name) / END).read_bytes())
    except (OSError, ValueError):  # nobody has left it, or another version did
        return None


def remove(client: Client, spec: SweepSpec, *, force: bool, data: bool) -> list[RemovedJob]:
    """Delete what the trials of a sweep left and their records, and the sweep's own.

    With `force` also of one that runs, which is stopped; with `data` their packed data, too. May be
    repeated. Raises `BadConfig` for one that runs, `HubtrainError` where something stays.
    """
    if is_run(spec.name) and not force:
        raise BadConfig(f"{spec.name} still runs.", fix="--force stops it first")
    if is_run(spec.name):
        stop(client, spec)
        _wait_for_its_end(client, spec)
    removed = []
    for record in client.records.of_sweep(spec.name):
        remove_job(client, record, force=force)
        removed.append(data_of(client, record, remove=data).document(record.job_id))
    forget(spec.name)
    return removed


def _wait_for_its_end(client: Client, spec: SweepSpec) -> None:
    """Wait until the process that runs a sweep has seen that it is to stop."""
    until = client.clock.monotonic() + END_SECONDS
    while is_run(spec.name):
        if client.clock.monotonic() > until:
            raise HubtrainError(
                f"{spec.name} does not stop: the process that makes its trials goes on.",
                fix="Try it again later.",
            )
        client.clock.sleep(LOOK_SECONDS)
