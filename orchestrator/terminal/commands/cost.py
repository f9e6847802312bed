"""`hubtrain cost`: what jobs have cost, beside what was expected, and the budget of a month."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime

import click

from orchestrator.jobs.glance import Glance
from orchestrator.jobs.spending import Month, budget, month, month_of, set_budget
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.exits import FAILED
from orchestrator.words import count, money
from worker.duration import roughly

GROUPS: dict[str, Callable[[Glance], str]] = {
    "month": lambda job: month_of(job.created_at) if job.created_at else "-",
    "project": lambda job: job.project,
    "backend": lambda job: job.backend if job.flavor in {None, job.backend} else _machine(job),
    "task": lambda job: job.kind,
    "sweep": lambda job: job.sweep or "-",
    "job": lambda job: job.job_id,
}


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs that belong together, and their money in US dollars."""

    group: str
    jobs: int
    seconds: float
    usd: float
    expected_usd: float | None
    """What those that succeeded were expected to cost; none where nothing was told of any."""

    took_usd: float | None
    """What these same jobs have cost."""

    @property
    def ratio(self) -> float | None:
        """How much was paid of what was expected; none where that is nothing."""
        return self.took_usd / self.expected_usd if self.took_usd and self.expected_usd else None


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
    everything = desk.glances()
    everything = everything if offline else desk.asked(everything)
    now, limit = desk.clock.now(), budget()
    jobs = [j for j in everything if only in {None, GROUPS["month"](j)} and j.started_at]
    found = lines(jobs, by, now)
    present = month(everything, now)
    if as_csv:
        _write(found, by)
    else:
        _show(desk, found, by, jobs)
        desk.screen.say(*_of_month(present, limit))
    desk.screen.document(
        {
            "by": by,
            "lines": [{**asdict(line), "ratio": line.ratio} for line in found],
            "month": asdict(present),
            "budget_usd": limit,
        }
    )
    return FAILED if any(job.unanswered for job in everything) else 0


def lines(jobs: Iterable[Glance], by: str, now: datetime) -> list[Line]:
    """Return the jobs summed up, in the order of `by`: months newest first, else dearest first."""
    groups: dict[str, list[Glance]] = {}
    for job in jobs:
        groups.setdefault(GROUPS[by](job), []).append(job)
    found = [_line(group, members, now) for group, members in groups.items()]
    if by == "month":
        return sorted(found, key=lambda line: line.group, reverse=True)
    return sorted(found, key=lambda line: line.usd, reverse=True)


def _line(group: str, jobs: list[Glance], now: datetime) -> Line:
    told = [j for j in jobs if j.usd_expected and j.state == "succeeded"]
    return Line(
        group=group,
        jobs=len(jobs),
        seconds=round(sum(j.seconds(j.known_at(now)) for j in jobs), 1),
        usd=round(sum(j.usd(j.known_at(now)) for j in jobs), 4),
        expected_usd=round(sum(j.usd_expected or 0.0 for j in told), 4) if told else None,
        took_usd=round(sum(j.usd(now) for j in told), 4) if told else None,
    )


def _machine(job: Glance) -> str:
    return f"{job.backend}-{job.flavor}"


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
    table.writerow([by, *(one.name for one in fields(Line)[1:])])
    for line in found:
        table.writerow(["" if value is None else value for value in astuple(line)])


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
