"""The same job asked for again: what is in the model's place may be what it made itself.

What is there names the job that put it there. On the laptop that made it, whether that is the job
asked for is known by the order's fingerprint; on another one by the job itself, as it lies beside
its model. Both need the data packed but nothing sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from orchestrator.job_request import JobRequest, order_of
from orchestrator.jobs.alike import differences
from orchestrator.jobs.archive import archived_events
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import Order
from orchestrator.preflight import CheckReport
from worker.contract import JobSpec, State
from worker.errors import BadConfig


def maker(client: Client, job_ids: Iterable[str | None]) -> Record | None:
    """Return the job of this laptop that made all that is there; none if others did, or several."""
    makers = set(job_ids)
    job_id = makers.pop() if len(makers) == 1 else None
    with suppress(BadConfig):
        record = client.records.get(job_id or "")
        return record if record.job_id == job_id else None
    return None


def same(client: Client, job_ids: Iterable[str | None], order: Order) -> Record | None:
    """Return the job that `order` asks for, if it made what is there and has not failed."""
    record = maker(client, job_ids)
    if record is None or client.records.fingerprint(record.job_id) != order.fingerprint:
        return None
    record = client.refreshed(record)
    state = record.story.state
    return None if state.final and state is not State.SUCCEEDED else record


def possibly(asked: JobRequest, report: CheckReport) -> CheckReport:
    """Return the report of a job whose place holds what no job of this laptop has made.

    It stays as it is where this very job may have made that, from another laptop, as far as can be
    told before its data are packed; else the job is refused.
    """
    if report.facts is None:
        return report.refused()

    def as_asked(made: JobSpec) -> JobSpec:
        spec = order_of(asked, report, made.data, made.data).spec("")
        return spec.model_copy(update={"files": made.files})

    report = _compared(report, as_asked)
    same = all(one.spec and not one.unlike for one in report.held)
    return report if same else report.refused()


def made(client: Client, report: CheckReport, order: Order) -> Record | None:
    """Return the job that `order` asks for, if it made all that is there. Raises `HubUnreachable`.

    None for one that failed; it may still run.
    """
    return same(client, report.makers, order) or _elsewhere(client, report, order)


def refused(report: CheckReport, order: Order) -> CheckReport:
    """Return the report of a job that is not the one that made what is there, and why it is not."""
    return _compared(report, lambda _: order.spec("")).refused()


def _compared(report: CheckReport, asked: Callable[[JobSpec], JobSpec]) -> CheckReport:
    """Return the report with what makes each job that is there another one than that asked for."""
    held = tuple(
        replace(one, unlike=tuple(differences(one.spec, asked(one.spec)))) if one.spec else one
        for one in report.held
    )
    return replace(report, held=held)


def _elsewhere(client: Client, report: CheckReport, order: Order) -> Record | None:
    """Return the job that another laptop asked for in the same words."""
    if len(report.held) != 1 or (spec := report.held[0].spec) is None:
        return None
    if differences(spec, order.spec("")):
        return None
    record = Record(spec, tuple(archived_events(spec, client.token, client.clock)))
    return record if record.story.state is State.SUCCEEDED else None
