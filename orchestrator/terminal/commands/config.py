"""`hubtrain config`: the settings of a job, and where each was said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any

import click

from orchestrator.exits import MENDABLE
from orchestrator.settings.layers import Settings
from orchestrator.settings.shown import DEFAULT, Shown, shown
from orchestrator.terminal.any_task import (
    TAKES_ALL,
    TakesSettings,
    with_settings,
    words_of_settings,
)
from orchestrator.terminal.desk import Desk
from worker.task import Finding, Task
from worker.tasks import typed


@click.command("config", cls=TakesSettings, context_settings=TAKES_ALL)
@click.option("--all", "everything", is_flag=True, help="Show also what has its default.")
@words_of_settings()
def COMMAND(words: tuple[str, ...], everything: bool) -> int:  # noqa: N802
    """Print a job's settings, and where each was said. Nothing is checked or created.

    SETTINGS are those of `hubtrain TASK --train`, with --config FILE and --json among them. TASK
    may be left out where a file names it. --json prints all of them. Exits 0 if a job could have
    these settings.
    """
    return with_settings("config", words, partial(_print, everything))


def _print(everything: bool, desk: Desk, task: Task[Any], settings: Settings) -> int:
    found, wrong = shown(task, settings)
    said = [one for one in found if everything or one.source != DEFAULT]
    if said:
        desk.screen.table((typed(task.name).upper(), "VALUE", "FROM"), _rows(said))
        desk.screen.say("")
    if left := len(found) - len(said):
        desk.screen.say(f"{left} settings have their defaults; --all shows them.")
    desk.screen.say(f"Hub token: {_token(desk)}", "")
    notes = [Finding("warn", "settings", note) for note in settings.notes]
    desk.screen.findings([*notes, *(Finding("error", "settings", one) for one in wrong)])
    desk.screen.document(
        {
            "task": typed(task.name),
            "settings": {
                s.name: {"value": s.value, "from": s.source, "line": s.line} for s in found
            },
            "token": _token(desk),
            "notes": list(settings.notes),
            "wrong": wrong,
        }
    )
    return MENDABLE if wrong else 0


def _rows(found: list[Shown]) -> Iterator[tuple[str, str, str]]:
    for group, settings in groupby(found, key=lambda one: one.group):
        yield group, "", ""
        yield from ((f"  {one.name}", _text(one.value), one.place) for one in settings)


def _token(desk: Desk) -> str:
    """Return where the token comes from, and never the token."""
    if desk.token is None:
        return "none"
    return "from HF_TOKEN or a file" if os.environ.get("HF_TOKEN") else "from the login"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
