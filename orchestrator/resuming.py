"""The settings of a job that goes on with another's training: the other's, and what was changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import backends
import worker.tasks
from orchestrator.jobs.diff import plain
from orchestrator.jobs.records import Record
from orchestrator.jobs.resumable import checkpoint_of
from orchestrator.preflight.request import Earlier
from orchestrator.settings.gather import classes_of, whose
from orchestrator.settings.layers import Catalog, Layer, Settings, merge
from worker.contract import JobSpec, Start, State
from worker.errors import BadConfig
from worker.params import Params, settings_of
from worker.task import Task


def resumed(record: Record) -> Earlier:
    """Return the job as what is gone on with. Raises `BadConfig` if it cannot be."""
    story, spec = record.story, record.spec
    if not story.state.final:
        raise BadConfig(
            f"{spec.job_id} is {story.state} and has not ended.",
            fix=f"hubtrain cancel {spec.job_id}, then the same command",
        )
    if story.state is State.SUCCEEDED:
        raise _has_succeeded(record)
    last = checkpoint_of(record)
    if last is None:
        raise _left_nothing(spec)
    before = spec.start.jobs if spec.start else ()
    repo_id, revision = last.on_hub or (None, None)
    start = Start(
        jobs=(*before, spec.job_id),
        step=last.step,
        repo_id=repo_id,
        revision=revision,
        folder=None if repo_id else last.where,
    )
    steps = story.progress.total_steps if story.progress else None
    return Earlier(spec, spec.data, spec.files, spec.model, start, steps)


def _has_succeeded(record: Record) -> BadConfig:
    story, spec = record.story, record.spec
    makes = worker.tasks.load(spec.task).makes
    where = story.pushed.repo_id if story.pushed else story.output
    further = f"To train it further: hubtrain {worker.tasks.typed(spec.task)} --train --model …"
    once_more = "To run it once more: its command with --overwrite."
    return BadConfig(
        f"{spec.job_id} has succeeded" + (f": its {makes} is {where}." if where else "."),
        fix=further if makes == "model" else once_more,
    )


def _left_nothing(spec: JobSpec) -> BadConfig:
    program = worker.tasks.load(spec.task).runs_program
    if program:
        return BadConfig(
            f"{spec.job_id} ran a {program}, and hubtrain knows none of its steps.",
            fix="Run its command again: it begins anew.",
        )
    return BadConfig(
        f"{spec.job_id} left no checkpoint, so there is nothing to go on from.",
        fix="Run its command again: it begins at the first step.",
    )


def settings_of_job(spec: JobSpec, changes: Mapping[str, Any], source: str) -> Settings:
    """Return the settings of a job, `changes` given over them. Raises `BadConfig`."""
    task = worker.tasks.load(spec.task)
    catalog = Catalog(classes_of(task), task.ignored, whose)
    given = Layer(source, changes)
    place = str(catalog.named(given).values.get("backend", ""))
    values = {**given_by(task.params, spec.params), **of_the_job(spec, place)}
    return merge(catalog, [Layer(f"job {spec.job_id}", values), given])


def refuse_other_training(spec: JobSpec, params: Params, task: Task[Any]) -> None:
    """Raise `BadConfig` that names every change with which the training would be another one."""
    before = task.params.model_validate(spec.params)
    wrong = list(_wrong(before, params))
    if wrong:
        raise BadConfig(
            "\n".join(wrong),
            fix=f"Leave them out, or begin anew with hubtrain {worker.tasks.typed(task.name)}"
            " --train.",
        )


def _wrong(before: Params, params: Params) -> Iterator[str]:
    flags = {s.name: s.flags[0] for s in settings_of(type(params))}
    for name, why in params.unlike(before):
        yield f"{flags[name]} cannot change while a training goes on: {why}."


def given_by(params: type[Params], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not as by default: those that somebody gave."""
    usual = {s.name: s.default for s in settings_of(params)}
    return {k: v for k, v in values.items() if k in usual and plain(usual[k]) != plain(v)}


def of_the_job(spec: JobSpec, place: str) -> dict[str, Any]:
    """Return a job's own settings, in the words in which users give them.

    Those of its backend are among them unless `place`, if any, is another.
    """
    push, limits = spec.push, spec.limits
    found: dict[str, Any] = {
        "project_name": spec.project,
        "backend": "-".join(spec.machine.words),
        "username": spec.owner,
        "hang_minutes": limits.hang_seconds / 60,
        "max_cost": limits.max_usd,
        "max_duration": None if limits.max_seconds is None else f"{limits.max_seconds:g}s",
        "overwrite": spec.overwrite_output or bool(push and push.overwrite),
    }
    if push:
        found |= {"push_to_hub": True, "repo_id": push.repo_id, "private": push.private}
    if not place or backends.resolve(place).backend.name == spec.machine.backend:
        found |= given_by(backends.load(spec.machine.backend).options, spec.machine.options)
    return {name: value for name, value in found.items() if value is not None}
