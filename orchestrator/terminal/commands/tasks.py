"""`hubtrain tasks`: what can be trained, each with an example of its data."""

from __future__ import annotations

import click

from orchestrator.samples import Kind, kinds
from orchestrator.terminal.desk import Desk


@click.command("tasks")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(as_json: bool) -> int:  # noqa: N802
    """List what can be trained, each with a line of data.

    Each name may stand behind `task:` in a job's file; `hubtrain init NAME` writes such a file, and
    a tiny sample of data beside it.
    """
    desk = Desk(as_json)
    found = list(kinds())
    desk.screen.document([_told(kind) for kind in found])
    desk.screen.table(("TASK", "A LINE OF ITS DATA"), [(k.name, _row(k)) for k in found])
    desk.screen.say(
        "", "begin with one   hubtrain init TASK", "its settings     hubtrain TASK --help"
    )
    return 0


def _row(kind: Kind) -> str:
    return kind.sample.row if kind.sample else "-"


def _told(kind: Kind) -> dict[str, object]:
    return {
        "task": kind.name,
        "command": kind.task.name.replace("_", "-"),
        "settings": dict(kind.given),
        "help": kind.task.help,
        "example": kind.sample.row if kind.sample else None,
    }
