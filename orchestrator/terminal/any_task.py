"""Commands that take the settings of any task: `hubtrain NAME [TASK] [--config FILE] [flags]`.

Which task is said by its name, by a file, or by the variables of a file that a shell has read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

import worker.tasks
from orchestrator.flags import (
    BEHIND,
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
from worker.tasks import typed

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

TAKES_ALL: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}
"""How a command is declared whose words are read here."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Doing = Callable[[Desk, Task[Any], Settings], int]


class Changing(Protocol):
    """What is done with the settings that were given to a command about a known training."""

    def __call__(self, changes: Mapping[str, Any], *, dry_run: bool, detach: bool) -> int: ...


_OF_A_RUN: tuple[click.Option, ...] = (TOKEN_OPTION, DRY_RUN, DETACH, JSON)
_TRAIN = click.Option(["--train"], is_flag=True, hidden=True)
"""Taken, so that the words of `hubtrain TASK --train` may be typed as they are."""
_OF_SETTINGS: tuple[click.Option, ...] = (_TRAIN, CONFIG, TOKEN_OPTION, JSON)


class TakesSettings(click.Command):
    """A command whose last words are read here, as a shell is to complete them.

    What stands behind `--` is among them, with it: that is a setting of some tasks.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if BEHIND in args:  # click takes the first one away
            at = args.index(BEHIND)
            args = [*args[:at], BEHIND, *args[at:]]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        return [*super().shell_complete(ctx, incomplete), *settings_next(ctx, None, incomplete)]


def settings_next(
    ctx: click.Context, param: click.Parameter | None, incomplete: str
) -> list[CompletionItem[str]]:
    """Return what may come next in such words: a task, or settings of the one that is known."""
    from orchestrator.completing import beginning, get_completions, task_of_job

    said, task = ctx.params, None
    if "changes" in said:
        words, own = list(said["changes"]), _OF_A_RUN
        task = task_of_job(said.get("job") or said.get("model") or "")
    else:
        words, own = [*filter(None, [said.get("what")]), *said["words"]], _OF_SETTINGS
        if not (words or incomplete.startswith("-")):
            return beginning(incomplete, ((typed(name), "") for name in worker.tasks.names()))
        where = config_among(words)
        if words and (where is None or Path(where).is_file()):
            task, _, words = _task(words)
    if task is None:
        return []
    return get_completions(_command(task.name, own, task, _nothing), words, incomplete)


def words_of_settings(name: str = "words", metavar: str = "[TASK] [SETTINGS]...") -> Decorator:
    """Return the argument of a command that takes such words, as a decorator."""
    return click.argument(
        name, nargs=-1, type=click.UNPROCESSED, metavar=metavar, shell_complete=settings_next
    )


def _nothing(**values: Any) -> int:
    return 0


def with_settings(
    name: str,
    words: Sequence[str],
    do: Doing,
    *,
    more: Sequence[str] = (),
    sweeps: bool = False,
) -> int:
    """Run what a command of this name does with the settings in its words; returns the exit code.

    `more`: options beside them.
    `sweeps`: whether a file may say what a sweep tries. Raises what click raises over options, and
    `BadConfig`.
    """
    task, extra, rest = _task(list(words))

    def run(**values: Any) -> int:
        own = {option.name: values.pop(str(option.name)) for option in _OF_SETTINGS}
        desk = Desk(bool(own["json"]))
        settings = merged(task, own["config"], {**extra, **given(values)}, desk, sweeps=sweeps)
        return do(desk, task, settings)

    return _main(name, _command(name, _OF_SETTINGS, task, run), [*more, *rest])


def with_changes(
    name: str, what: str, task: Task[Any], words: Sequence[str], change: Changing
) -> int:
    """Run what a command of this name does to `what`, a known training of `task`.

    Returns the exit code. Raises what click raises over options.
    """

    def run(**values: Any) -> int:
        own = {str(option.name): values.pop(str(option.name)) for option in _OF_A_RUN}
        return change(given(values), dry_run=bool(own["dry_run"]), detach=bool(own["detach"]))

    return _main(f"{name} {what}", _command(name, _OF_A_RUN, task, run), words)


def _command(
    name: str, own: Sequence[click.Option], task: Task[Any], run: Callable[..., int]
) -> click.Command:
    """Return a command of its `own` options and the settings of a task's job."""
    ignored = hidden(options_of((task.ignored,))) if CONFIG in own else []
    return SettingsCommand(
        name.partition(" ")[0],
        params=[*own, *options_of(classes_of(task)), *ignored],
        callback=run,
        context_settings={"token_normalize_func": normalized},
    )


def _main(name: str, command: click.Command, words: Sequence[str]) -> int:
    code: int = command.main(
        list(words),
        prog_name=f"hubtrain {name}",
        standalone_mode=False,
        obj=click.get_current_context(silent=True),  # whose options stand beside these: `complaint`
    )
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
