"""`hubtrain cost`: what jobs have cost, beside what was expected, and the budget of a month."""

from __future__ import annotations

import csv
import sys
from dataclasses import astuple, fields

import click

from orchestrator.exits import FAILED
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.ledger import GROUPS, Line, ledger
from orchestrator.jobs.spending import Month, set_budget
from orchestrator.terminal.desk import Desk
from orchestrator.words import count, money
from worker.duration import roughly


@click.command("cost")
@click.option("--by", type=click.Choice(list(GROUPS)), default="month", help="Sum up by this.")
@click.option("--month", "only", metavar="YYYY-MM", help="Only jobs that were made in this month.")
@click.option("--budget", "most", metavar="USD", help="Most that a month may cost, or `none`.")
@click.option("--offline", is_flag=True, help="Ask no provider; count what was known last.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for spreadsheets.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(  # noqa: N802, PLR0917
    by: str, only: str | None, most: str | None, offline: bool, as_csv: bool, as_json: bool
) -> int:
    """Say what jobs have cost, and what a month may cost.

    It is time on a machine by the price at the launch; deployments are not counted. With a budget
    a job is refused that might cost more than the month has left. Exits 0 if all is as of now.
    """
    desk = Desk(as_json)
    if most is not None:
        set_budget(_dollars(most))
    found, jobs = ledger(desk, by, only, offline=offline)
    if as_csv:
        _write(found.lines, by)
    else:
        _show(desk, found.lines, by, jobs)
        desk.screen.say(*_of_month(found.month, found.budget_usd))
    desk.screen.document(found.model_dump())
    return FAILED if found.unanswered else 0


def _show(desk: Desk, found: list[Line], by: str, jobs: list[Glance]) -> None:
    if not found:
        desk.screen.say("No job has run yet.")
        return
    header = (by.upper(), "JOBS", "TIME", "COST", "EXPECTED", "OF THAT")
    desk.screen.table(header, [_row(line) for line in found], whole=0, spare=header[4:])
    total = sum(line.usd for line in found)
    desk.screen.say("", f"{count(len(jobs), 'job')}, {money(total)} in all")


def _row(line: Line) -> tuple[str, ...]:
    return (
        line.group,
        str(line.jobs),
        roughly(line.seconds),
        money(line.usd),
        "-" if line.expected_usd is None else money(line.expected_usd),
        "-" if line.ratio is None else f"{line.ratio:.0%}",
    )


def _of_month(present: Month, limit: float | None) -> list[str]:
    spent = f"{present.name}: {money(present.spent)} spent"
    if present.pending:
        spent += f", {money(present.pending)} that running jobs may still cost"
    if limit is None:
        return [f"{spent}; no budget is set (hubtrain cost --budget 50 sets one)"]
    left = limit - present.spent - present.pending
    return [f"{spent}; {money(max(0.0, left))} left of the budget of {money(limit)} a month"]


def _write(found: list[Line], by: str) -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow([by, *(one.name for one in fields(Line)[1:-1])])
    for line in found:
        table.writerow(["" if value is None else value for value in astuple(line)[:-1]])


def _dollars(text: str) -> float | None:
    if text.strip().lower() in {"none", "no", "off"}:
        return None
    try:
        usd = float(text.strip().removeprefix("$"))
    except ValueError as error:
        raise click.UsageError(f"--budget {text}: write 50, $50 or none") from error
    if not 0 <= usd < float("inf"):
        raise click.UsageError(f"--budget {text}: it must be 0 or more, or none")
    return usd
