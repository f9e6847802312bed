"""`hubtrain jobs`: every job this laptop knows, as its provider knows it now."""

from __future__ import annotations

from datetime import datetime

import click

from orchestrator.jobs.records import Record
from orchestrator.jobs.summary import summary
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.exits import FAILED
from orchestrator.terminal.listing import ROW, costs, row

_DAYS = 7


@click.command("jobs")
@click.option("--all", "-a", "everything", is_flag=True, help="Also those of more than a week ago.")
@click.option("--offline", is_flag=True, help="Ask no provider; show what was known last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(everything: bool, offline: bool, as_json: bool) -> int:  # noqa: N802
    """List jobs: state, progress, loss, cost, and what costs now.

    Exits 0 if all that is shown is as of now, or --offline asked for no more.
    """
    desk = Desk(as_json)
    records, now = desk.records.all(), desk.clock.now()
    if not everything:
        records = [r for r in records if not r.settled or r.age(now).days < _DAYS]
    if not offline and records:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(desk.refreshed, records))
    _show(desk, records, desk.clock.now(), offline=offline)
    return FAILED if any(r.unanswered for r in records) else 0


def _show(desk: Desk, records: list[Record], now: datetime, *, offline: bool) -> None:
    desk.screen.document([summary(r, now) for r in records])
    if not records:
        desk.screen.say("No jobs yet. Start one with `hubtrain TASK --train …`.")
        return
    desk.screen.table(ROW, (row(r, now) for r in records))
    reasons = dict.fromkeys(r.unanswered for r in records if r.unanswered)
    if costing := costs(records):
        desk.screen.say(costing)
    elif not reasons and not offline:
        desk.screen.say("Nothing costs now.")
    if reasons:
        _say_why(desk, records, list(reasons))


def _say_why(desk: Desk, records: list[Record], reasons: list[str]) -> None:
    """Say which jobs could not be asked, once for each reason."""
    from worker.task import Finding

    for reason in reasons:
        jobs = ", ".join(r.job_id for r in records if r.unanswered == reason)
        desk.screen.findings([Finding("warn", "not asked", f"{jobs}: {reason}")])
