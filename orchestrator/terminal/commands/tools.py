"""`hubtrain tools`: what is done with models beside training and asking, as tasks say."""

from __future__ import annotations

from typing import Any

import click

import worker.tasks
from orchestrator.aside import aside, environ_of
from orchestrator.settings.layers import FLAGS, Catalog, Layer, merge
from orchestrator.terminal.command import JSON, TOKEN_OPTION
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.flags import SettingsCommand, given, normalized, options_of
from worker.task import Finding, Tool

SECONDS = 6 * 3600.0
"""Longest time a tool may take: a large model may have to be fetched and sent."""


class _Tools(click.Group):
    """Finds the tools of all tasks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(tool.name for _, tool in _all())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        wanted = normalized(cmd_name)
        return next((_command(task, tool) for task, tool in _all() if tool.name == wanted), None)


@click.command("tools", cls=_Tools)
def COMMAND() -> None:  # noqa: N802
    """Merge adapters and the like, on this machine."""


def _all() -> list[tuple[str, Tool]]:
    names = worker.tasks.names()
    return [(name, tool) for name in names for tool in worker.tasks.load(name).tools]


def _command(task: str, tool: Tool) -> click.Command:
    def run(**values: Any) -> int:
        own = {option.name: values.pop(str(option.name)) for option in (TOKEN_OPTION, JSON)}
        return _run(Desk(bool(own["json"])), task, tool, given(values))

    options: list[click.Parameter] = [*options_of((tool.settings,)), TOKEN_OPTION, JSON]
    how = {"token_normalize_func": normalized}
    return SettingsCommand(
        tool.name, params=options, callback=run, help=tool.help, context_settings=how
    )


def _run(desk: Desk, task: str, tool: Tool, flags: dict[str, Any]) -> int:
    """Run a tool where the user stands, and say what came of it."""
    settings = merge(Catalog((tool.settings,)), [Layer(FLAGS, flags)]).of(tool.settings)
    asked = settings.model_dump(mode="json")
    with desk.screen.waiting(tool.help):
        done = aside(("worker.tool", task, tool.name), asked, environ_of(desk.token), SECONDS)
    desk.screen.findings(Finding("ok", str(what), str(found)) for what, found in done.items())
    desk.screen.document(done)
    return 0
