"""`hubtrain TASK` and nothing more, at a terminal: what a job lacks is asked for.

The answers become flags, and the command that they make is shown before it runs.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import click

import backends
from orchestrator import words
from orchestrator.settings.job import Project
from orchestrator.settings.layers import Settings
from orchestrator.terminal.desk import Desk
from worker.errors import HubtrainError
from worker.params import Setting, settings_of
from worker.reading.files import is_data
from worker.task import Task

MODEL, DATA, PROJECT, WHERE = "model", "data_path", "project_name", "backend"


def ask(desk: Desk, task: Task[Any], settings: Settings) -> dict[str, Any]:
    """Ask for what a job of these settings lacks, and return it; empty where nothing is lacking.

    Raises `click.Abort` for Ctrl-C and Ctrl-D.
    """
    lacking = [one for one in _needed(task) if one.name not in settings.values]
    if not lacking:
        return {}
    desk.screen.say(
        f"{task.help} {words.count(len(lacking), 'question')}:",
        "Enter takes what stands in brackets. Ctrl-C leaves; nothing is created.",
    )
    answers: dict[str, Any] = {}
    for setting in lacking:
        said = {**settings.values, **answers}
        answers[setting.name] = _answer(desk, task, setting, said)
    if not backends.resolve({**settings.values, **answers}[WHERE]).backend.keeps_disk:
        answers["push_to_hub"] = True  # or the model would be gone with the machine
    desk.screen.say("", f"$ {_command(task, answers)}", "")
    return answers


def _needed(task: Task[Any]) -> Iterator[Setting]:
    """Yield the settings that are asked for: the model, the data, what else has to be, the place.

    A model has a default in many tasks, and is still what matters most.
    """
    known = {setting.name: setting for setting in settings_of(task.params)}
    yield from (known[name] for name in (MODEL, DATA) if name in known)
    yield from (s for s in known.values() if s.required and s.name not in {MODEL, DATA})
    yield from (setting for setting in settings_of(Project))


def _answer(desk: Desk, task: Task[Any], setting: Setting, said: Mapping[str, Any]) -> str:
    """Ask until the answer is one that can be."""
    choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
    desk.screen.say("", setting.help + choices)
    sample = task.sample({})
    if setting.name == DATA and sample:
        desk.screen.say(f"A line of it:  {sample.row}")
    while True:
        answer: str = click.prompt(
            f"  {setting.flags[0]}", default=_default(task, setting, said), type=str
        ).strip()
        if answer and not (wrong := _wrong(setting, answer)):
            return answer
        desk.screen.say(wrong if answer else "It has to be something.")


def _wrong(setting: Setting, answer: str) -> str:
    """Return why an answer cannot be; empty where it may. The check before the job looks closer."""
    if setting.choices and answer not in setting.choices:
        return f"One of {', '.join(setting.choices)}."
    if setting.name == WHERE:
        try:
            backends.resolve(answer)
        except HubtrainError as error:
            return str(error)
    return ""


def _default(task: Task[Any], setting: Setting, said: Mapping[str, Any]) -> str | None:
    """Return what is meant by an empty answer; none where it has to be said."""
    if setting.name == DATA:
        here = [path.name for path in sorted(Path().iterdir()) if is_data(path.name)]
        return here[0] if len(here) == 1 else None
    if setting.name == PROJECT:
        return _free_name(str(said.get(DATA) or task.name))
    if setting.name == WHERE:
        return str(setting.default)
    sample = task.sample({})
    from_sample = sample.settings.get(setting.name) if sample else None
    if sample and any(name.split("/")[0] == from_sample for name in sample.files):
        return None  # its files are not here
    default = setting.default if from_sample is None and not setting.required else from_sample
    return None if default is None else str(default)


def _free_name(about: str) -> str:
    """Return a project's name, made from its data's, of which there is no folder here yet."""
    stem = Path(about).name.split(".")[0].split("@")[0]
    name = "my-" + (re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.") or "model")
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(name for name in names if not Path(name).exists())


def _command(task: Task[Any], answers: Mapping[str, Any]) -> str:
    """Return the command that says all this without questions."""
    typed = [click.get_current_context().find_root().info_name or "hubtrain", *sys.argv[1:]]
    if "--train" not in typed:
        typed.append("--train")
    flags = {setting.name: setting.flags[0] for setting in settings_of(task.params)}
    for name, value in answers.items():
        flag = flags.get(name, "--" + name.replace("_", "-"))
        typed += [flag] if value is True else [flag, value]
    return shlex.join(typed)
