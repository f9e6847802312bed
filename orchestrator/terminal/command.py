"""The command of a task: its settings as flags, layered with a file and the environment.

Every task gets the same command; what differs is read off its declaration. Nothing heavy is
imported until there is something to do, so that `--help` stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from orchestrator.flags import COMMAND_OPTIONS, SettingsCommand, given, options_of_task
from orchestrator.settings.configfile import TOKEN
from orchestrator.settings.files import read
from orchestrator.settings.gather import gather, task_of_file
from orchestrator.settings.layers import Settings
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.question import someone_is_there
from orchestrator.words import count, size
from worker.common import Asking
from worker.errors import BadConfig
from worker.placeholders import is_placeholder
from worker.task import Finding, Task
from worker.tasks import typed

_OWN = {option.name for option in COMMAND_OPTIONS}


def task_command(task: Task[Any], *, trains: bool = False) -> click.Command:
    """Return the command that trains this task, without being told to where it `trains`.

    So does one of a task with whose models nothing else is done.
    """
    trains = trains or not (task.question or task.has_page)

    def run(**values: Any) -> int:
        own = {name: values.pop(name) for name in list(values) if name in _OWN}
        own["train"] = own["train"] or (trains and not (own["inference"] or own["deploy"]))
        return _run(task, own, given(values))

    return SettingsCommand(task.name, params=options_of_task(task), callback=run, help=task.help)


def command_of(where: str) -> str:
    """Return the command that runs the job of a file. Raises `BadConfig`."""
    return typed(task_of_file(read(where))[0].name)


def _run(task: Task[Any], own: Mapping[str, Any], flags: dict[str, Any]) -> int:
    desk = Desk(bool(own.get("json")))
    settings = merged(task, own.get("config"), flags, desk)
    asked = _asked(desk, task, settings, own, flags)
    if asked:
        settings, own = merged(task, None, {**flags, **asked}, desk), {**own, "train": True}
    if own.get("inference"):
        if other := next((name for name in ("train", "deploy") if own.get(name)), None):
            fix = f"--{other} first; then --inference with --model and what came of it"
            raise BadConfig(f"--{other} and --inference: one at a time.", fix=fix)
        from orchestrator.terminal.inference import answer

        return answer(desk, task, settings)
    how = {name: bool(own.get(name)) for name in ("dry_run", "detach")}
    if own.get("train"):
        from orchestrator.terminal.train import train

        deploys = bool(own.get("deploy"))
        return train(desk, task, settings, **how, deploys=deploys, confirm=bool(asked))
    if not own.get("deploy"):
        raise BadConfig("say what to do: --train, --inference, or --deploy")
    from orchestrator.settings.deploy import deploy_settings, fixed
    from orchestrator.settings.job import Hub
    from orchestrator.terminal.deploy import deploy

    model, owner = settings.of(Asking).model, settings.of(Hub).username
    wanted = deploy_settings(settings, trains=False)
    return deploy(desk, wanted, model, task, fixed(settings, [task]), owner=owner, **how)


def _asked(
    desk: Desk, task: Task[Any], settings: Settings, own: Mapping[str, Any], flags: dict[str, Any]
) -> dict[str, Any]:
    """Return what the user answers where a command says too little; empty where it says enough.

    Nobody is asked but at a terminal.
    """
    other = any(own.get(name) for name in ("config", "inference", "deploy"))
    if other or (own.get("train") and flags) or not someone_is_there(as_json=desk.as_json):
        return {}
    from orchestrator.terminal.missing import ask

    return ask(desk, task, settings)


def merged(
    task: Task[Any],
    config: str | None,
    flags: dict[str, Any],
    desk: Desk,
    *,
    sweeps: bool = False,
) -> Settings:
    """Return the settings of a file, the environment and the flags. Raises `BadConfig`.

    A file that says what a sweep tries is refused where nothing `sweeps`: that would be left out. A
    secret is no setting: those of the file go into the environment, where others look for them.
    """
    if config is None:
        return gather(task, None, flags, desk.accounts)
    file = read(config)
    if file.sweep and not sweeps:
        raise BadConfig(
            f"{config} says what a sweep tries, and this is one job.",
            fix=f"hubtrain sweep --config {config}",
        )
    found = {TOKEN: file.token(), **file.secrets()}
    for name, secret in found.items():
        if secret and (not (said := os.environ.get(name)) or is_placeholder(said)):
            os.environ[name] = secret
    settings = gather(task, file, flags, desk.accounts)
    if file.from_web:
        read_ = f"{count(file.settings, 'setting')} in {size(file.size)} from {config}"
        desk.screen.findings([Finding("ok", "settings", read_)])
    return settings
