"""`hubtrain jobs`: every job this laptop knows, as its provider knows it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.jobs.records import Record
from orchestrator.jobs.summary import summary
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.exits import FAILED
from orchestrator.terminal.listing import ROW, costs, row

if TYPE_CHECKING:
    from orchestrator.terminal.deployments import Known

_DAYS = 7


@click.command("jobs")
@click.option("--all", "-a", "everything", is_flag=True, help="Also those of more than a week ago.")
@click.option("--offline", is_flag=True, help="Ask no provider; show what was known last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(everything: bool, offline: bool, as_json: bool) -> int:  # noqa: N802
    """List jobs and deployments: state, progress, cost, and what costs now.

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
    deployed = [] if offline else _deployed(desk)
    _show(desk, records, deployed, offline=offline)
    asked = [*(not r.unanswered for r in records), *(one.now is not None for one in deployed)]
    return 0 if all(asked) else FAILED


def _deployed(desk: Desk) -> list[Known]:
    from orchestrator.terminal.deployments import deployments

    return deployments(desk)


def _show(desk: Desk, records: list[Record], deployed: list[Known], *, offline: bool) -> None:
    now = desk.clock.now()
    desk.screen.document([*(summary(r, now) for r in records), *(d.document for d in deployed)])
    if records:
        desk.screen.table(ROW, (row(r, now) for r in records))
    if deployed:
        from orchestrator.terminal.deployments import DEPLOYED

        desk.screen.table(DEPLOYED, (one.row for one in deployed))
    if not (records or deployed):
        desk.screen.say("No jobs yet. Start one with `hubtrain TASK --train …`.")
        return
    reasons = dict.fromkeys(r.unanswered for r in records if r.unanswered)
    costing = [costs(records), *(one.costs for one in deployed)]
    desk.screen.say(*filter(None, costing))
    if not any(costing) and not reasons and not offline and all(one.now for one in deployed):
        desk.screen.say("Nothing costs now.")
    if reasons:
        _say_why(desk, records, list(reasons))


def _say_why(desk: Desk, records: list[Record], reasons: list[str]) -> None:
    """Say which jobs could not be asked, once for each reason."""
    from worker.task import Finding

    for reason in reasons:
        jobs = ", ".join(r.job_id for r in records if r.unanswered == reason)
        desk.screen.findings([Finding("warn", "not asked", f"{jobs}: {reason}")])
