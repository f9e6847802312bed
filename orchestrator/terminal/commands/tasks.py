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
    if as_json:
        from orchestrator.api.documents import kind

        desk.screen.document([kind(one).model_dump() for one in found])
    desk.screen.table(("TASK", "A LINE OF ITS DATA"), [(k.name, _row(k)) for k in found])
    desk.screen.say(
        "", "begin with one   hubtrain init TASK", "its settings     hubtrain TASK --help"
    )
    return 0


def _row(kind: Kind) -> str:
    return kind.sample.row if kind.sample else "-"
