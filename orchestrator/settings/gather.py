"""The settings of a job, gathered: a file's, the environment's, and those given by hand.

Knows which settings a task's job has and what a file means by its task; validates nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import backends
import worker.tasks
from orchestrator.settings.autotrain import not_yet
from orchestrator.settings.configfile import NAME, ConfigFile
from orchestrator.settings.deploy import DeploySettings
from orchestrator.settings.envfile import from_shell
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import FLAGS, Catalog, Layer, Settings, from_environment, merge
from worker.common import Asking, AskingMany, Prompting
from worker.errors import BadConfig, HubtrainError
from worker.nearest import hint, nearest
from worker.params import Params, settings_of
from worker.shorten import some
from worker.task import Task


def classes_of(task: Task[Any]) -> tuple[type[Params], ...]:
    """Return all params classes of this task: of jobs on any backend, questions, deployments."""
    options = tuple(backends.load(name).options for name in backends.names())
    asking = (Asking, *_questions(task.question)) if task.question else ()
    deploying = (DeploySettings,) if task.has_page else ()
    return (JobSettings, task.params, *options, *asking, *deploying)


def _questions(question: type[Params]) -> tuple[type[Params], ...]:
    """Return the settings of questions, single ones and many: prompts have their own for files."""
    return (question,) if issubclass(question, Prompting) else (question, AskingMany)


def task_of(name: str | None, where: str = "the file's task") -> tuple[Task[Any], dict[str, Any]]:
    """Return the task that is meant, and the settings that go with its name.

    It may be called by another name, or by its own with that of a trainer: `task-trainer`,
    `task:trainer`. Raises `BadConfig`; `where` says in its message what named the task.
    """
    known = worker.tasks.names()
    names = [worker.tasks.typed(each) for each in known]
    there = f"there are: {', '.join(names)}"
    if name is None:
        raise BadConfig(f"the file names no task; {there}", fix="task: …  in the file")
    wanted = re.sub(r"[:_]", "-", name)

    def unlike(task: str) -> bool:  # importing one takes time: that which begins so comes first
        return not f"{wanted}-".startswith(f"{worker.tasks.typed(task)}-")

    for task in map(worker.tasks.load, sorted(known, key=unlike)):
        spelled = worker.tasks.typed(task.name)
        if wanted in task.also_called:
            return task, dict(task.also_called[wanted])
        if wanted == spelled:
            return task, {}
        if "trainer" in task.params.model_fields and wanted.startswith(spelled + "-"):
            return task, {"trainer": wanted.removeprefix(spelled + "-")}
    if what := not_yet(name):
        raise BadConfig(f"{where} is {name!r}: {what} is not there yet; {there}")
    guess = hint(nearest(wanted, names))
    raise BadConfig(f"{where} is {name!r}.{guess} T{there[1:]}")


def gather(
    task: Task[Any],
    file: ConfigFile | None,
    given: Mapping[str, Any],
    accounts: Callable[[], list[str]],
    *,
    source: str = FLAGS,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings of a job, those `given` by hand winning over all others.

    `accounts` tells the user's names on the Hub, asked only if the file needs them. Raises
    `BadConfig` if a setting is unknown, or the file is for another task.
    """
    catalog = Catalog(classes_of(task), task.ignored, whose)
    layers = [from_shell(environ), from_environment(catalog, environ), Layer(source, given)]
    if file is not None:
        layers.insert(0, _layer(task, file, accounts, environ))
    return merge(catalog, layers)


def task_of_file(file: ConfigFile) -> tuple[Task[Any], dict[str, Any]]:
    """Return the task that a file is for, as `task_of`, by its name or by whose trainer it names.

    Raises `BadConfig`.
    """
    named = file.task
    return (_with_trainers(file.values) if named is None else None) or task_of(named)


def task_of_shell(environ: Mapping[str, str] = os.environ) -> tuple[Task[Any], dict[str, Any]]:
    """Return the task that variables of a sourced file are for. Raises `BadConfig` for none."""
    if found := _with_trainers(from_shell(environ).values):
        return found
    there = ", ".join(map(worker.tasks.typed, worker.tasks.names()))
    raise BadConfig(f"say which task, or give a file with --config; there are: {there}")


def _with_trainers(said: Iterable[str]) -> tuple[Task[Any], dict[str, Any]] | None:
    """Return the task that has trainers, if one is among the names that were said."""
    if any(name.lower() == "trainer" for name in said):
        for task in map(worker.tasks.load, worker.tasks.names()):
            if "trainer" in task.params.model_fields:
                return task, {}
    return None


def whose(key: str) -> str:
    """Return a sentence that names the tasks which have a setting of this key; empty for none."""
    key = key.removeprefix("--").replace("-", "_")
    have = [
        worker.tasks.typed(task.name)
        for task in map(worker.tasks.load, worker.tasks.names())
        if any(key in setting.keys for setting in settings_of(task.params))
    ]
    return f" {some(have)} {'has' if len(have) == 1 else 'have'} it." if have else ""


def _layer(
    task: Task[Any],
    file: ConfigFile,
    accounts: Callable[[], list[str]],
    environ: Mapping[str, str],
) -> Layer:
    named, extra = task_of_file(file) if file.task else (task, {})
    if named is not task:
        raise BadConfig(f"{file.source} is for {named.name}, and this command for {task.name}")
    layer = file.layer(environ, lambda: _own_name(accounts))
    return replace(layer, values={**extra, **layer.values})


def _own_name(accounts: Callable[[], list[str]]) -> str:
    """Return the user's name on the Hub, which a file's `${HF_USERNAME}` means."""
    try:
        names = accounts()
    except HubtrainError as error:
        raise BadConfig(
            f"${{{NAME}}} is your own name on the Hub, which could not be asked: {error.message}",
            fix=f"export {NAME}=YOUR-NAME",
        ) from error
    if not names:
        raise BadConfig(
            f"${{{NAME}}} is used, but {NAME} is not set and nobody is logged in.",
            fix=f"hf auth login, or export {NAME}=YOUR-NAME",
        )
    return names[0]
