"""Commands that take the settings of any task: `hubtrain NAME [TASK] [--config FILE] [flags]`.

Which task is said by its name, by a file, or by the variables of a file that a shell has read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import click

from orchestrator.flags import (
    CONFIG,
    DETACH,
    DRY_RUN,
    JSON,
    TOKEN_OPTION,
    SettingsCommand,
    config_among,
    given,
    hidden,
    normalized,
    options_of,
)
from orchestrator.settings.files import read
from orchestrator.settings.gather import classes_of, task_of, task_of_file, task_of_shell
from orchestrator.settings.layers import Settings
from orchestrator.terminal.command import merged
from orchestrator.terminal.desk import Desk
from worker.errors import BadConfig
from worker.task import Task

TAKES_ALL: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}
"""How a command is declared whose words are read here."""

Doing = Callable[[Desk, Task[Any], Settings], int]


class Changing(Protocol):
    """What is done with the settings that were given to a command about a known training."""

    def __call__(self, changes: Mapping[str, Any], *, dry_run: bool, detach: bool) -> int: ...


_OF_A_RUN = (TOKEN_OPTION, DRY_RUN, DETACH, JSON)


def with_settings(name: str, words: Sequence[str], do: Doing, *, sweeps: bool = False) -> int:
    """Run what a command of this name does with the settings in its words; returns the exit code.

    `sweeps`: whether a file may say what a sweep tries. Raises what click raises over options, and
    `BadConfig`.
    """
    task, extra, rest = _task(list(words))

    def run(**values: Any) -> int:
        own = {option.name: values.pop(str(option.name)) for option in (CONFIG, JSON, TOKEN_OPTION)}
        desk = Desk(bool(own["json"]))
        settings = merged(task, own["config"], {**extra, **given(values)}, desk, sweeps=sweeps)
        return do(desk, task, settings)

    options: list[click.Parameter] = [CONFIG, TOKEN_OPTION, JSON, *options_of(classes_of(task))]
    options += hidden(options_of((task.ignored,)))
    return _main(name, options, run, rest)


def with_changes(
    name: str, what: str, task: Task[Any], words: Sequence[str], change: Changing
) -> int:
    """Run what a command of this name does to `what`, a known training of `task`.

    Returns the exit code. Raises what click raises over options.
    """

    def run(**values: Any) -> int:
        own = {str(option.name): values.pop(str(option.name)) for option in _OF_A_RUN}
        return change(given(values), dry_run=bool(own["dry_run"]), detach=bool(own["detach"]))

    return _main(f"{name} {what}", [*_OF_A_RUN, *options_of(classes_of(task))], run, words)


def _main(
    name: str, options: list[click.Parameter], run: Callable[..., int], words: Sequence[str]
) -> int:
    command = SettingsCommand(
        name.partition(" ")[0],
        params=options,
        callback=run,
        context_settings={"token_normalize_func": normalized},
    )
    code: int = command.main(list(words), prog_name=f"hubtrain {name}", standalone_mode=False)
    return code


def _task(words: list[str]) -> tuple[Task[Any], dict[str, Any], list[str]]:
    """Return the task, the settings that go with its name, and the words that are left."""
    if words and "." in words[0] and Path(words[0]).is_file():
        raise BadConfig(f"{words[0]} is a file and no task.", fix=f"--config {words[0]}")
    if words and not words[0].startswith("-"):
        return *task_of(words[0], "the task"), words[1:]
    if (where := config_among(words)) is not None:
        return task_of_file(read(where))[0], {}, words  # what goes with its name is the file's
    return task_of_shell()[0], {}, words
