"""`hubtrain tools`: what is done with models beside training and asking, as tasks say."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.flags import JSON, TOKEN_OPTION, SettingsCommand, given, normalized, options_of
from orchestrator.terminal.desk import Desk
from orchestrator.tools import MODEL, tools, work_of
from worker.task import Finding, Tool


class _Tools(click.Group):
    """Finds the tools of all tasks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(tool.name for _, tool in tools())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        wanted = normalized(cmd_name)
        return next((_command(task, tool) for task, tool in tools() if tool.name == wanted), None)


@click.command("tools", cls=_Tools)
def COMMAND() -> None:  # noqa: N802
    """Merge adapters, evaluate models and the like."""


def _command(task: str, tool: Tool) -> click.Command:
    def run(**values: Any) -> int:
        own = {option.name: values.pop(str(option.name)) for option in (TOKEN_OPTION, JSON)}
        return _run(Desk(bool(own["json"])), task, tool, given(values))

    options = [option for option in options_of((tool.settings,)) if option.name != MODEL]
    model = (
        [click.Argument([MODEL], metavar="MODEL")] if MODEL in tool.settings.model_fields else []
    )
    about = "\n\nMODEL is a Hub id, a folder, or a job that succeeded." if model else ""
    return SettingsCommand(
        tool.name,
        params=[*model, *options, TOKEN_OPTION, JSON],
        callback=run,
        help=tool.help + about,
        context_settings={"token_normalize_func": normalized},
    )


def _run(desk: Desk, task: str, tool: Tool, flags: dict[str, Any]) -> int:
    """Run a tool where the user stands, and say what came of it."""
    work = work_of(desk, task, tool, flags)
    with desk.screen.waiting(tool.help):
        done = work.do(desk)
    desk.screen.findings(Finding("ok", str(what), str(found)) for what, found in done.items())
    desk.screen.document(done)
    return 0
