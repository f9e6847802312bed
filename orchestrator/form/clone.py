"""Clones a job on record into a draft, to be run once more with changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

import worker.tasks
from orchestrator import resuming
from orchestrator.form.draft import Draft, draft
from orchestrator.preflight.project import cleaned
from orchestrator.rerunning import NOT_AGAIN
from worker.contract import JobSpec
from worker.task import Task
from worker.tasks import typed

NOTHING: Mapping[str, Any] = MappingProxyType({})


def clone(spec: JobSpec, taken: Iterable[str]) -> Draft:
    """Return what a job says, under a name that no project has of those `taken`."""
    task = worker.tasks.load(spec.task)
    own = resuming.given_by(task.params, spec.params)
    job = resuming.of_the_job(spec, "")
    job = {name: value for name, value in job.items() if name not in NOT_AGAIN}
    usual = {"hang_minutes": 30.0, "private": True}
    job = {name: value for name, value in job.items() if usual.get(name) != value}
    return draft(task, {**own, "project_name": free(spec.project, taken), **job})


def fresh(task: Task[Any], taken: Iterable[str], given: Mapping[str, Any] = NOTHING) -> Draft:
    """Return a draft of a task that says no more than a name."""
    name = free(f"my-{typed(task.name)}", taken)
    return draft(task, {**given, "project_name": name})


def free(name: str, taken: Iterable[str]) -> str:
    """Return a project's name that none of those `taken` is: `bot`, `bot-2`."""
    there, stem = set(taken), cleaned(name)
    return next(one for n in count(1) if (one := stem if n == 1 else f"{stem}-{n}") not in there)
