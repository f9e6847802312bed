"""`hubtrain data`: the examples of a job, prepared and uploaded before there is a job."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.prepare import Prepared, prepare
from orchestrator.settings.layers import Settings
from orchestrator.terminal.any_task import (
    TAKES_ALL,
    TakesSettings,
    with_settings,
    words_of_settings,
)
from orchestrator.terminal.desk import Desk
from orchestrator.words import count, size
from worker.hubclient import endpoint
from worker.task import Finding, Task
from worker.tasks import typed


@click.command("data", cls=TakesSettings, context_settings=TAKES_ALL)
@words_of_settings()
def COMMAND(words: tuple[str, ...]) -> int:  # noqa: N802
    """Prepare a job's examples and upload them.

    SETTINGS are those of `hubtrain TASK --train`, with --config FILE and --json among them; all but
    those of the data are set aside. A job with the same rows finds them there and sends nothing.
    """
    return with_settings("data", words, _prepare)


def _prepare(desk: Desk, task: Task[Any], settings: Settings) -> int:
    desk.screen.findings(Finding("warn", "settings", note) for note in settings.notes)
    with desk.screen.stages() as stages:
        done = prepare(desk, task, settings, stages)
    rows = [count(done.rows, "training row")]
    rows += [count(done.valid_rows, "validation row")] if done.valid_rows else []
    rows += [size(done.stored_bytes)] if done.stored_bytes is not None else []
    desk.screen.findings([Finding("ok", "data", " · ".join([*done.notes, *rows]))])
    desk.screen.findings([Finding("ok", "data", _where(done))])
    desk.screen.say(f"To train on it: hubtrain {typed(task.name)} --train, with the same settings")
    desk.screen.document(
        {
            "repo_id": done.ref.repo_id,
            "revision": done.ref.revision,
            "url": _page(done),
            "rows": done.rows,
            "valid_rows": done.valid_rows,
            "bytes": done.stored_bytes,
        }
    )
    return 0


def _where(done: Prepared) -> str:
    how = "used where it is" if done.stored_bytes is None else "private"
    return f"{done.ref.repo_id} at {str(done.ref.revision)[:7]}, {how} · {_page(done)}"


def _page(done: Prepared) -> str:
    return f"{endpoint()}/datasets/{done.ref.repo_id}"
