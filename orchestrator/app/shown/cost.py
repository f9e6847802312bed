"""What jobs have cost as HTML: the month and its budget first, then the jobs summed up."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from orchestrator.app.shown.table import table_of
from orchestrator.jobs.ledger import GROUPS, Line, lines
from orchestrator.words import count, money
from worker.duration import roughly

if TYPE_CHECKING:
    from orchestrator.app.board import Seen

ALL = ""
"""Stands among the months for all of them."""


def months(seen: Seen) -> list[tuple[str, str]]:
    """Return the months to choose from, the newest first: words for people, and the value."""
    found = sorted({GROUPS["month"](job) for job in (*seen.jobs, *seen.removed)}, reverse=True)
    return [("All months", ALL), *((name, name) for name in found)]


def ledger(seen: Seen, by: str, only: str) -> str:
    """Return what the jobs of a month, or of all, have cost, summed up `by` one of `GROUPS`."""
    known = (*seen.jobs, *seen.removed)
    jobs = [j for j in known if only in {ALL, GROUPS["month"](j)} and j.started_at]
    found = lines(jobs, by, seen.now)
    total = sum(line.usd for line in found)
    said = f"{money(total)} for {count(len(jobs), 'job')}{f' of {only}' if only else ''}"
    head = f'<section class="answer"><h1 class="state">{said}</h1>{_month(seen)}</section>'
    return head + (_table(found, by) if found else "<p>No job has run yet.</p>")


def _month(seen: Seen) -> str:
    now, most = seen.month, seen.budget
    words = f"{now.name}: {money(now.spent)} spent"
    words += f", up to {money(now.pending)} more by what runs" if now.pending else ""
    if most is None:
        budget = "<code>hubtrain cost --budget 50</code>"
        return f'<p class="small">{words}; no budget is set ({budget})</p>'
    share = min(1.0, (now.spent + now.pending) / most) if most else 1.0
    left = money(max(0.0, most - now.spent - now.pending))
    bar = f'<div class="bar" aria-hidden="true"><i style="width:{share:.0%}"></i></div>'
    return f'<p class="small">{words}; {left} left of {money(most)}</p>{bar}'


def _table(found: list[Line], by: str) -> str:
    names = (by.capitalize(), "Jobs", "Time", "Cost", "Expected", "Of that")
    most = max(line.usd for line in found)
    return table_of(names, (_row(line, line.usd / most if most else 0.0) for line in found))


def _row(line: Line, share: float) -> str:
    bar = f'<div class="bar" aria-hidden="true"><i style="width:{share:.0%}"></i></div>'
    cells = (
        escape(line.group),
        f"{line.jobs:,}",
        roughly(line.seconds),
        f"{money(line.usd)}{bar}",
        "-" if line.expected_usd is None else money(line.expected_usd),
        "-" if line.ratio is None else f"{line.ratio:.0%}",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
