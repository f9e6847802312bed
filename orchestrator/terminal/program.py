"""The command line: `hubtrain`, and the same program as `autotrain`; `entry` starts it.

Each file in `commands/` is a command, and each task is one; nothing lists them. What goes wrong
ends here, as one message and an exit code: 0 only on success, 2 for what the user can mend before
anything ran, 1 for what failed, 130 for a detached watch.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import click

import worker.tasks
from orchestrator.exits import DETACHED, FAILED, MENDABLE, exit_code
from orchestrator.flags import complaint, config_among, in_two, normalized
from orchestrator.terminal import commands
from orchestrator.visible import spell_what_lacks

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orchestrator.api.errors import Failure

_ROOM = 70
"""Letters that say what a command does, beside it in a shell's list."""


class Program(click.Group):
    """Finds its commands on disk. `--config FILE` runs the job of the file, or asks its model."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        where = config_among(args) if args and args[0].startswith("-") else None
        if where is not None and (not ctx.resilient_parsing or Path(where).is_file()):
            from orchestrator.terminal.command import command_of

            trains = [] if "--inference" in args else ["--train"]
            args = [command_of(where), *trains, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = [m.name for m in iter_modules(commands.__path__)]
        return sorted([*own, *map(worker.tasks.typed, worker.tasks.names())])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        if name in worker.tasks.names():
            from orchestrator.terminal.command import task_command

            return task_command(worker.tasks.load(name))
        if any(m.name == name for m in iter_modules(commands.__path__)):
            command: click.Command = import_module(f"orchestrator.terminal.commands.{name}").COMMAND
            return command
        for task in map(worker.tasks.load, worker.tasks.names()):
            if cmd_name and task.command == cmd_name:
                from orchestrator.terminal.command import task_command

                return task_command(task, trains=True)
        return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the commands that begin so, without importing them, and the options."""
        from orchestrator.completing import beginning

        names = (name for name in self.list_commands(ctx) if name.startswith(incomplete))
        found = beginning("", ((name, _summary(name, _ROOM)) for name in names))
        if incomplete:  # or each Tab would import all tasks
            found += beginning(incomplete, _commands_of_tasks())
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List tasks, then commands, without importing them: it takes longer than all the rest."""
        names = self.list_commands(ctx)
        tasks = {*map(worker.tasks.typed, worker.tasks.names())}
        wide = max(map(len, names))
        room = formatter.width - 6 - wide
        for title, has in (("Tasks", tasks), ("Commands", {*names} - tasks)):
            rows = [(name.ljust(wide), _summary(name, room)) for name in names if name in has]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.command(
    cls=Program,
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": normalized,
        "max_content_width": 110,
    },
)
@click.option("--config", help="File of a job, or its address; runs it. Flags beside it win.")
@click.version_option(package_name="hubtrain")
@click.pass_context
def program(ctx: click.Context, /, config: str | None) -> None:
    """Train models on rented machines from a laptop without a GPU.

    The commands and files of AutoTrain work here too.
    `hubtrain COMMAND --help` shows the settings.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the program on `sys.argv` and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a closed terminal is no other end
    spell_what_lacks(sys.stdout, sys.stderr)
    if f"_{_name()}_COMPLETE".upper() in os.environ:
        from orchestrator.completing import register

        register()
    try:
        code = program.main(prog_name=_name(), standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        code = DETACHED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until exit)
        code = FAILED
    except Exception as error:
        code = _told(error)
    sys.exit(code if isinstance(code, int) else 0)


def _told(error: Exception) -> int:
    """Say what went wrong, and return the exit code."""
    from orchestrator.terminal.output import Screen
    from worker import disk
    from worker.clock import SystemClock
    from worker.errors import HubtrainError

    screen = Screen(SystemClock(), as_json="--json" in sys.argv)
    match error:
        case click.UsageError():
            code, said = MENDABLE, (_usage(error), "")
        case HubtrainError():
            code, said = exit_code(error.reason), (error.message, error.fix)
        case OSError():
            code, said = FAILED, disk.refused(error)
        case _:
            from orchestrator import crash

            code, said = FAILED, crash.told(error)
    screen.error(*said, exit_code=code, failure=_as_data(error) if screen.as_json else None)
    return code


def _as_data(error: Exception) -> Failure | None:
    """Return what went wrong with what else is known of it; none where that is all in its words."""
    from orchestrator.api.errors import failure
    from worker.errors import BadConfig, HubtrainError

    if isinstance(error, click.UsageError):
        error = BadConfig(_usage(error))
    return failure(error, arguments=False) if isinstance(error, HubtrainError) else None


def _commands_of_tasks() -> Iterator[tuple[str, str]]:
    """Yield the commands that train by themselves, without `--train`, each with what it does."""
    for task in map(worker.tasks.load, worker.tasks.names()):
        if task.command:
            yield task.command, task.help


def _summary(command: str, room: int) -> str:
    from orchestrator.terminal.summaries import summary

    name = command.replace("-", "_")
    home = worker.tasks if name in worker.tasks.names() else commands
    return click.Command(command, help=summary(f"{home.__name__}.{name}")).get_short_help_str(room)


def _name() -> str:
    return Path(sys.argv[0]).stem if sys.argv and "train" in Path(sys.argv[0]).stem else "hubtrain"


def _usage(error: click.UsageError) -> str:
    words = sys.argv[1:]
    if isinstance(error, click.NoSuchCommand):
        from orchestrator.settings.autotrain import ELSEWHERE, not_yet
        from worker.nearest import hint, nearest

        names = program.list_commands(click.Context(program))
        if where := ELSEWHERE.get(error.command_name):
            return f"no command {error.command_name}. {where}"
        if what := not_yet(error.command_name):
            return f"{error.command_name}: {what} is not there yet."
        near = hint(nearest(error.command_name, names)) or f" {_name()} --help lists them."
        return f"no command {error.command_name}.{near}"
    said = complaint(error, words)
    known = isinstance(error, click.MissingParameter | click.NoSuchOption)
    if known or not error.ctx or in_two(words, error.format_message()):
        return said
    return f"{said} Try '{error.ctx.command_path} --help'."
