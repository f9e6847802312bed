"""`hubtrain jobs`: every job this laptop knows, as its provider knows it now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import click

from orchestrator.desk import Desk
from orchestrator.listing import ROW, row, summary


@click.command("jobs")
@click.option("--all", "-a", "everything", is_flag=True, help="Also those of more than a week ago.")
@click.option("--offline", is_flag=True, help="Ask no provider; show what was known last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(everything: bool, offline: bool, as_json: bool) -> None:  # noqa: N802
    """List jobs: state, progress, loss, cost."""
    desk = Desk(as_json)
    records, now = desk.records.all(), desk.clock.now()
    if not everything:
        records = [r for r in records if not r.story.state.final or r.age(now).days < 7]  # noqa: PLR2004
    if not offline and records:
        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(desk.refreshed, records))
    now = desk.clock.now()
    desk.screen.document([summary(r, now) for r in records])
    if records:
        desk.screen.table(ROW, (row(r, now) for r in records))
    else:
        desk.screen.say("No jobs yet. Start one with `hubtrain llm --train …`.")
