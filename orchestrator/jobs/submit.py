"""From a checked request to a launched job, exactly once.

The order of the steps makes it safe: first the data (named by its content, so a second upload
sends nothing), then the record, then the provider, which spends money last. If the process is
killed at any point, either nothing costs money, or the same command finds the record and continues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.base import Backend, OnProgress, silent
from backends.batch_launch import Together
from backends.errors import LaunchFailed, PlanRefused
from backends.handle import Handle
from orchestrator.forecast import Forecast
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.records import Record, Records
from worker.clock import Clock
from worker.contract import (
    ALONE,
    DataRef,
    Failed,
    JobSpec,
    Launched,
    Limits,
    Machine,
    ModelRef,
    Parallel,
    PushTarget,
    Start,
    Trial,
)
from worker.errors import BadConfig, HubtrainError

ADDED = frozenset({"files", "start", "trial"})
"""Fields that older records lack. If they are none, the fingerprint leaves them out, so that a
newer version still finds an older record."""


@dataclass(frozen=True, slots=True)
class Order:
    """A checked job with its data uploaded: a `JobSpec` without its id."""

    task: str
    params: Mapping[str, Any]
    project: str
    owner: str | None
    model: ModelRef | None
    data: DataRef
    push: PushTarget | None
    machine: Machine
    limits: Limits
    parallel: Parallel = ALONE
    output: Path | None = None
    overwrite_output: bool = False
    extras: tuple[str, ...] = ()
    planned_data: DataRef | None = None
    """The data as it is known before the upload; none if it is the same as `data`."""

    files: DataRef | None = None
    """Extra files of the job; none if it has none."""

    planned_files: DataRef | None = None
    """As `planned_data`, for `files`."""

    forecast: Forecast | None = None
    """Expected time and cost; stored with the record."""
    start: Start | None = None
    """The checkpoint to resume from; none for a training from its first step."""

    trial: Trial | None = None
    """The trial of a sweep that this job is; none outside of a sweep."""

    def spec(self, job_id: str) -> JobSpec:
        """Return the spec of this job with an id."""
        return JobSpec(
            job_id=job_id,
            task=self.task,
            params=dict(self.params),
            project=self.project,
            owner=self.owner,
            model=self.model,
            data=self.data,
            files=self.files,
            push=self.push,
            machine=self.machine,
            parallel=self.parallel,
            limits=self.limits,
            output=str(self.output) if self.output else None,
            overwrite_output=self.overwrite_output,
            extras=self.extras,
            start=self.start,
            trial=self.trial,
        )

    @property
    def fingerprint(self) -> str:
        """Equal for two orders of the same job, so that `submit` launches it exactly once."""
        asked = self.spec("").model_dump(mode="json")
        for name, planned in (("data", self.planned_data), ("files", self.planned_files)):
            if planned is not None:  # a repo named by its content may have any commit
                asked[name] = planned.model_dump(mode="json")
        asked = {k: v for k, v in asked.items() if v is not None or k not in ADDED}
        asked["machine"].pop("usd_per_hour")  # a new price does not make it another job
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that its provider has accepted."""

    record: Record
    handle: Handle
    existed: bool
    """Whether an earlier call of this order had launched it already."""


def submit(
    order: Order,
    backend: Backend[Any],
    secrets: Mapping[str, str],
    *,
    records: Records,
    clock: Clock,
    on_progress: OnProgress = silent,
    ended: Collection[str] | None = None,
) -> Submitted:
    """Record and launch `order`, or find the launch of an earlier, interrupted call.

    `ended` are the jobs that had ended at the time of the check: if the same job has succeeded
    since, it is returned too. If the outcome of a launch is unknown (the network failed), its
    record stays open, and the same order continues the launch. If the launch failed and was rolled
    back, the record is closed.
    """
    record = claim(order, records=records, clock=clock, ended=ended)
    return launch_claimed(
        record, backend, secrets, records=records, clock=clock, on_progress=on_progress
    )


def claim(
    order: Order,
    *,
    records: Records,
    clock: Clock,
    ended: Collection[str] | None = None,
    admit: Callable[[list[Glance]], None] = lambda jobs: None,
) -> Record:
    """Return the running job of `order`, or record a new one: see `submit`.

    `admit` is called with all jobs before a new one is recorded; if it raises, none is recorded.
    """
    return records.claim(
        order.fingerprint,
        lambda: order.spec(clock.new_id()),
        clock.now(),
        order.forecast,
        ended,
        admit=admit,
    )


def launch_claimed(
    record: Record,
    backend: Backend[Any],
    secrets: Mapping[str, str],
    *,
    records: Records,
    clock: Clock,
    on_progress: OnProgress = silent,
) -> Submitted:
    """Launch a recorded job, or find the launch of an interrupted call.

    Its data was uploaded before it was recorded. Raises `HubtrainError`.
    """
    known = record.story.handle
    if known is not None:
        return Submitted(record, Handle.parse(known), existed=True)
    try:
        handle = backend.launch(backend.plan(record.spec), secrets, on_progress)
    except (LaunchFailed, PlanRefused) as error:  # nothing of it is left: the next try is a new job
        records.add(record.job_id, [_failed(error, clock)])
        raise
    return Submitted(_launched(record, handle, backend, records, clock), handle, existed=False)


def launch_together(
    written: Sequence[Record],
    backend: Together,
    secrets: Mapping[str, str],
    at_once: int,
    *,
    records: Records,
    clock: Clock,
    on_progress: OnProgress = silent,
) -> list[Record | HubtrainError]:
    """Launch recorded jobs with one request, each as `launch_claimed` does.

    Returns for each job its record, or the error. If the provider refuses the request, jobs that an
    earlier request launched are kept.
    """
    assert isinstance(backend, Backend)

    def told(record: Record, handle: Handle) -> Record | HubtrainError:
        try:
            return _launched(record, handle, backend, records, clock)
        except HubtrainError as error:
            return error

    def refused(record: Record, error: HubtrainError) -> Record | HubtrainError:
        try:
            if handle := find_launch(record, backend):
                return told(record, handle)
        except HubtrainError as unknown:
            return unknown
        records.add(record.job_id, [_failed(error, clock)])
        return error

    try:
        requests = [backend.plan(record.spec) for record in written]
        handles = backend.launch_all(requests, secrets, at_once, on_progress)
    except (LaunchFailed, PlanRefused) as error:
        return [refused(record, error) for record in written]
    except HubtrainError as error:
        return [error] * len(written)
    return list(map(told, written, handles))


def _launched(
    record: Record, handle: Handle, backend: Backend[Any], records: Records, clock: Clock
) -> Record:
    """Record the launch and return the record.

    If the record was removed in the meantime, nobody could find the machine again: it is removed
    too, and `LaunchFailed` is raised. If the job was cancelled in the meantime, its machine is
    stopped now.
    """
    try:
        launched = Launched(handle=str(handle), at=clock.now(), source="laptop")
        records.add(record.job_id, [launched])
        record = records.get(record.job_id)
    except BadConfig as gone:
        backend.remove(handle)
        raise LaunchFailed(
            f"{record.job_id} was removed while it was being launched, and so is its machine.",
            fix="To train it all the same: the same command again.",
        ) from gone
    if record.ended or record.story.cancel_asked_at:
        backend.cancel(handle)
    return record


def find_launch(record: Record, backend: Backend[Any]) -> Handle | None:
    """Return the handle of a launch whose answer never reached the record, or none.

    Asks the provider. None for a job that this machine can no longer plan.
    """
    try:
        request = backend.plan(record.spec)
    except (PlanRefused, ValueError):
        return None
    return backend.find(request)


def clear_launch(record: Record, backend: Backend[Any]) -> None:
    """Delete what a launch without a handle left. Raises `HubtrainError` if it may be running."""
    try:
        request = backend.plan(record.spec)
    except (PlanRefused, ValueError):
        return
    if handle := backend.find(request):
        backend.remove(handle)
    else:
        backend.clear(request)


def _failed(error: HubtrainError, clock: Clock) -> Failed:
    return Failed(reason=error.reason, message=str(error), at=clock.now(), source="laptop")
