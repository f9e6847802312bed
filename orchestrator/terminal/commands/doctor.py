"""`hubtrain doctor`: is everything here that a job needs?"""

from __future__ import annotations

from dataclasses import asdict

import click

from orchestrator.terminal.checkup import checkup
from orchestrator.terminal.desk import Desk


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(as_json: bool) -> int:  # noqa: N802
    """Check this machine: packages, token, Hub, disk. Exits 0 if jobs can be launched from here."""
    desk = Desk(as_json)
    found = checkup(desk)
    desk.screen.findings(found)
    desk.screen.document([asdict(finding) for finding in found])
    return 1 if any(f.level == "error" for f in found) else 0
