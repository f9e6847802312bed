"""The same command again: what it finds done already is told, and not done twice.

What is in the model's place names the job that put it there. Whether that was this command is
known by the order's fingerprint, which needs the data packed but nothing sent.
"""

from __future__ import annotations

from contextlib import suppress

from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import Order
from orchestrator.preflight import Report
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.follow import close
from worker.contract import State
from worker.errors import BadConfig
from worker.task import Finding


def maker(desk: Desk, report: Report) -> Record | None:
    """Return this laptop's job that put there what is in the model's place; none if another did."""
    makers = {held.job_id for held in report.held}
    job_id = makers.pop() if len(makers) == 1 else None
    with suppress(BadConfig):
        record = desk.records.get(job_id or "")
        return record if record.job_id == job_id else None
    return None


def same(desk: Desk, report: Report, order: Order) -> Record | None:
    """Return the job that `order` asks for, if it is the one whose model is there; else none."""
    record = maker(desk, report)
    if record is None or desk.records.fingerprint(record.job_id) != order.fingerprint:
        return None
    record = desk.refreshed(record)
    return None if record.story.state.final and not _good(record) else record


def tell(desk: Desk, record: Record) -> int:
    """Tell the good end of a job that is asked for once more; returns the exit code."""
    text = f"this very job has been done as {record.job_id}; nothing new is launched"
    fix = "to train again: the same command with --overwrite"
    desk.screen.findings([Finding("warn", "job", text, fix)])
    return close(desk, record)


def _good(record: Record) -> bool:
    return record.story.state is State.SUCCEEDED
