"""Finds out whether a requested job has been done already, so that it does not run twice.

The target repo or folder names the job that wrote it. On the laptop that launched that job, the
order's fingerprint tells whether it is the requested one; on another laptop the job's spec, stored
beside its model, tells it. Both need the data packed, but nothing sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from orchestrator.job_request import JobRequest, order_of
from orchestrator.jobs.archive import archived_events
from orchestrator.jobs.client import Client
from orchestrator.jobs.diff import differences
from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import Order
from orchestrator.preflight import CheckReport
from worker.contract import JobSpec, State
from worker.errors import BadConfig


def maker(client: Client, job_ids: Iterable[str | None]) -> Record | None:
    """Return the job of this laptop that wrote the target; none if others did, or several."""
    makers = set(job_ids)
    job_id = makers.pop() if len(makers) == 1 else None
    with suppress(BadConfig):
        record = client.records.get(job_id or "")
        return record if record.job_id == job_id else None
    return None


def same_job(client: Client, job_ids: Iterable[str | None], order: Order) -> Record | None:
    """Return the job that `order` asks for, if it wrote the target and has not failed."""
    record = maker(client, job_ids)
    if record is None or client.records.fingerprint(record.job_id) != order.fingerprint:
        return None
    record = client.refreshed(record)
    state = record.story.state
    return None if state.final and state is not State.SUCCEEDED else record


def refuse_unless_same(asked: JobRequest, report: CheckReport) -> CheckReport:
    """Refuse a job whose target was written by no job of this laptop, unless by the same job.

    The same job may have been launched from another laptop. The report is unchanged if so, as far
    as that can be told before the data are packed.
    """
    if report.facts is None:
        return report.refused()

    def as_asked(made: JobSpec) -> JobSpec:
        spec = order_of(asked, report, made.data, made.data).spec("")
        return spec.model_copy(update={"files": made.files})

    report = _compared(report, as_asked)
    same = all(one.spec and not one.unlike for one in report.held)
    return report if same else report.refused()


def existing_job(client: Client, report: CheckReport, order: Order) -> Record | None:
    """Return the job that `order` asks for, if it wrote the target. Raises `HubUnreachable`.

    It may still be running. None if it failed.
    """
    return same_job(client, report.makers, order) or _elsewhere(client, report, order)


def refuse(report: CheckReport, order: Order) -> CheckReport:
    """Refuse a job that is not the one that wrote the target, and say how the two differ."""
    return _compared(report, lambda _: order.spec("")).refused()


def _compared(report: CheckReport, asked: Callable[[JobSpec], JobSpec]) -> CheckReport:
    """Return the report with the differences between each job found and the requested one."""
    held = tuple(
        replace(one, unlike=tuple(differences(one.spec, asked(one.spec)))) if one.spec else one
        for one in report.held
    )
    return replace(report, held=held)


def _elsewhere(client: Client, report: CheckReport, order: Order) -> Record | None:
    """Return the same job, if another laptop launched it and it succeeded."""
    if len(report.held) != 1 or (spec := report.held[0].spec) is None:
        return None
    if differences(spec, order.spec("")):
        return None
    record = Record(spec, tuple(archived_events(spec, client.token, client.clock)))
    return record if record.story.state is State.SUCCEEDED else None
