"""The command of a task: its settings as flags, layered with a file and the environment.

Every task gets the same command; what differs is read off its declaration. Nothing heavy is
imported until there is something to do, so that `--help` stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

import backends
import worker.tasks
from orchestrator.desk import Desk
from orchestrator.flags import SettingsCommand, given, options_of
from orchestrator.job import JobSettings
from orchestrator.settings import (
    FLAGS,
    Catalog,
    Layer,
    Settings,
    from_environment,
    from_file,
    merge,
)
from worker.errors import BadConfig
from worker.task import Task

COMMAND_OPTIONS = (
    click.Option(["--train"], is_flag=True, help="Train a model."),
    click.Option(["--deploy"], is_flag=True, hidden=True, help="Deploy a model."),
    click.Option(["--inference"], is_flag=True, help="Answer --prompt with --model."),
    click.Option(["--prompt"], help="What to answer (--inference)."),
    click.Option(["--max-new-tokens"], type=int, default=128, help="Longest answer (--inference)."),
    click.Option(["--config"], type=click.Path(path_type=Path), help="YAML file with settings."),
    click.Option(["--token"], help="Hub token; better in HF_TOKEN or from `hf auth login`."),
    click.Option(["--dry-run"], is_flag=True, help="Check, print the plan, create nothing."),
    click.Option(["--detach"], is_flag=True, help="Launch and leave; do not watch."),
    click.Option(["--json"], is_flag=True, help="Print one JSON document."),
)
_OWN = {option.name for option in COMMAND_OPTIONS}


def task_command(task: Task[Any]) -> click.Command:
    """Return the command that trains this task."""
    options: list[click.Parameter] = [*COMMAND_OPTIONS, *options_of(_classes(task))]

    def run(**values: Any) -> int:
        own = {name: values.pop(name) for name in list(values) if name in _OWN}
        return _run(task, own, given(values))

    return SettingsCommand(task.name, params=options, callback=run, help=task.help)


def run_config(path: Path, **how: bool) -> int:
    """Run the job of a YAML file, whatever its task: `hubtrain --config FILE`."""
    _, named = from_file(path)
    task, extra = _task_of(str(named or ""))
    return _run(task, {**how, "train": True, "config": path}, extra)


def _task_of(name: str) -> tuple[Task[Any], dict[str, Any]]:
    """Return the task a file means by `llm`, `llm-sft`, `llm:sft`, and what else that says."""
    wanted = name.replace(":", "-")
    for known in worker.tasks.names():
        spelled = known.replace("_", "-")
        if wanted == spelled:
            return worker.tasks.load(known), {}
        if wanted.startswith(spelled + "-"):
            return worker.tasks.load(known), {"trainer": wanted.removeprefix(spelled + "-")}
    raise BadConfig(f"the file's task is {name!r}; there are: {', '.join(worker.tasks.names())}")


def _classes(task: Task[Any]) -> tuple[Any, ...]:
    options = tuple(backends.load(name).options for name in backends.names())
    return (JobSettings, task.params, *options)


def _run(task: Task[Any], own: Mapping[str, Any], flags: dict[str, Any]) -> int:
    settings = _settings(task, own.get("config"), flags)
    desk = Desk(bool(own.get("json")))
    if own.get("inference"):
        from orchestrator.inference import answer

        return answer(desk, settings.values.get("model"), own)
    if own.get("deploy"):
        raise BadConfig("--deploy is not there yet; --train and --inference are")
    if not own.get("train"):
        raise BadConfig("say what to do: --train, or --inference")
    from orchestrator.train import train

    return train(
        desk, task, settings, dry_run=bool(own.get("dry_run")), detach=bool(own.get("detach"))
    )


def _settings(task: Task[Any], config: Path | None, flags: dict[str, Any]) -> Settings:
    catalog = Catalog(_classes(task))
    layers: list[Layer] = []
    if config is not None:
        layer, named = from_file(config)
        values = dict(layer.values)
        if token := values.pop("token", None):  # a secret is no setting
            os.environ.setdefault("HF_TOKEN", str(token))
        extra = _task_of(named)[1] if named else {}
        layers.append(Layer(layer.source, {**extra, **values}))
    layers += [from_environment(catalog, os.environ), Layer(FLAGS, flags)]
    return merge(catalog, layers)
