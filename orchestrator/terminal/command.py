"""The command of a task: its settings as flags, layered with a file and the environment.

Every task gets the same command; what differs is read off its declaration. Nothing heavy is
imported until there is something to do, so that `--help` stays quick.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import click

import backends
import worker.tasks
from orchestrator.settings.autotrain import not_yet
from orchestrator.settings.configfile import NAME, TOKEN, read
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import FLAGS, Catalog, Layer, Settings, from_environment, merge
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.flags import SettingsCommand, given, hidden, options_of
from orchestrator.words import count, size
from worker.common import Asking
from worker.errors import BadConfig, HubtrainError
from worker.task import Finding, Task

COMMAND_OPTIONS = (
    click.Option(["--train"], is_flag=True, help="Train a model."),
    click.Option(["--deploy"], is_flag=True, hidden=True, help="Deploy a model."),
    click.Option(["--inference"], is_flag=True, help="Ask a trained model a question."),
    click.Option(["--config"], help="YAML file with settings, or the address of one."),
    click.Option(["--token"], help="Hub token; better in HF_TOKEN or from `hf auth login`."),
    click.Option(["--dry-run"], is_flag=True, help="Check, print the plan, create nothing."),
    click.Option(["--detach"], is_flag=True, help="Launch and leave; do not watch."),
    click.Option(["--json"], is_flag=True, help="Print one JSON document."),
)
_OWN = {option.name for option in COMMAND_OPTIONS}


def task_command(task: Task[Any]) -> click.Command:
    """Return the command that trains this task."""
    options: list[click.Parameter] = [*COMMAND_OPTIONS, *options_of(_classes(task))]
    options += hidden(options_of((task.ignored,)))

    def run(**values: Any) -> int:
        own = {name: values.pop(name) for name in list(values) if name in _OWN}
        return _run(task, own, given(values))

    return SettingsCommand(task.name, params=options, callback=run, help=task.help)


def command_of(where: str) -> str:
    """Return the command that runs the job of a YAML file. Raises `BadConfig`."""
    return _task_of(read(where).task)[0].name.replace("_", "-")


def _task_of(name: str | None) -> tuple[Task[Any], Mapping[str, Any]]:
    """Return the task a file means by its name, another one, or its own with that of a trainer, as
    in `task-trainer` and `task:trainer`; and the settings that go with it."""
    there = f"there are: {', '.join(worker.tasks.names())}"
    if name is None:
        raise BadConfig(f"the file names no task; {there}", fix="task: …  in the file")
    wanted = re.sub(r"[:_]", "-", name)
    for task in map(worker.tasks.load, worker.tasks.names()):
        spelled = task.name.replace("_", "-")
        if wanted in task.also_called:
            return task, task.also_called[wanted]
        if wanted == spelled:
            return task, {}
        if "trainer" in task.params.model_fields and wanted.startswith(spelled + "-"):
            return task, {"trainer": wanted.removeprefix(spelled + "-")}
    if what := not_yet(name):
        raise BadConfig(f"the file's task is {name!r}: {what} is not there yet; {there}")
    raise BadConfig(f"the file's task is {name!r}; {there}")


def _classes(task: Task[Any]) -> tuple[Any, ...]:
    options = tuple(backends.load(name).options for name in backends.names())
    asking = (Asking, task.question) if task.question else ()
    return (JobSettings, task.params, *options, *asking)


def _run(task: Task[Any], own: Mapping[str, Any], flags: dict[str, Any]) -> int:
    desk = Desk(bool(own.get("json")))
    settings = _settings(task, own.get("config"), flags, desk)
    if own.get("inference"):
        from orchestrator.terminal.inference import answer

        return answer(desk, task, settings)
    if own.get("deploy"):
        raise BadConfig("--deploy is not there yet; --train and --inference are")
    if not own.get("train"):
        raise BadConfig("say what to do: --train, or --inference")
    from orchestrator.terminal.train import train

    return train(
        desk, task, settings, dry_run=bool(own.get("dry_run")), detach=bool(own.get("detach"))
    )


def _settings(task: Task[Any], config: str | None, flags: dict[str, Any], desk: Desk) -> Settings:
    catalog = Catalog(_classes(task), task.ignored)
    layers = [from_environment(catalog, os.environ), Layer(FLAGS, flags)]
    if config is not None:
        layers.insert(0, _layer(task, config, desk))
    return merge(catalog, layers)


def _layer(task: Task[Any], config: str, desk: Desk) -> Layer:
    """Return the settings of a file for this task; raises `BadConfig` if it is for another."""
    file = read(config)
    if token := file.token():  # a secret is no setting
        os.environ.setdefault(TOKEN, token)
    named, extra = _task_of(file.task) if file.task else (task, {})
    if named is not task:
        raise BadConfig(f"{file.source} is for {named.name}, and this command for {task.name}")
    layer = file.layer(os.environ, lambda: _own_name(desk))
    if file.from_web:
        read_ = f"{count(len(layer.values), 'setting')} in {size(file.size)} from {config}"
        desk.screen.findings([Finding("ok", "settings", read_)])
    return Layer(layer.source, {**extra, **layer.values})


def _own_name(desk: Desk) -> str:
    """Return the user's name on the Hub, which a file's `${HF_USERNAME}` means."""
    try:
        names = desk.accounts()
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
