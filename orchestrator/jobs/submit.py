"""From a checked request to a launched job, exactly once.

The order is the safety: data first (content-named, so sending it twice sends nothing), then the
record, then the provider, which spends money last. A process killed anywhere leaves either
nothing that costs, or a record under which the same command goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.base import Backend, OnProgress, silent
from backends.errors import LaunchFailed, PlanRefused
from backends.handle import Handle
from backends.together import Together
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
"""Fields of a job that older records lack. Where none is given they are no part of a fingerprint,
so that a job on record is found again by a version that knows them."""


@dataclass(frozen=True, slots=True)
class Order:
    """A job as asked for, checked, with its data in place; all but its id."""

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
    """The data as it is known before it is sent; the same as `data` where none is given."""

    files: DataRef | None = None
    """Files that go along; none if none do."""

    planned_files: DataRef | None = None
    """As `planned_data`, of `files`."""

    forecast: Forecast | None = None
    """What is expected of it; kept with its record."""
    start: Start | None = None
    """The checkpoint that it goes on from; none if it begins anew."""

    trial: Trial | None = None
    """Which trial of a sweep it is; none for a job by itself."""

    def spec(self, job_id: str) -> JobSpec:
        """Return the job under its name."""
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
        """The same for two orders that ask for the same job: what makes submitting exactly-once."""
        asked = self.spec("").model_dump(mode="json")
        for name, planned in (("data", self.planned_data), ("files", self.planned_files)):
            if planned is not None:  # a repo named by its content may have any commit
                asked[name] = planned.model_dump(mode="json")
        asked = {k: v for k, v in asked.items() if v is not None or k not in ADDED}
        asked["machine"].pop("usd_per_hour")  # a new price does not make it another job
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that its provider has."""

    record: Record
    handle: Handle
    existed: bool
    """Whether it had been launched before, by this command or one like it."""


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
    """Record and launch `order`, or find the launch that an earlier, interrupted call made.

    `ended`: jobs that had ended when it was checked; one that has succeeded since is found, too.

    A launch whose outcome is unknown (no network in the middle of it) leaves its record open, and
    the same order goes on with it; one that failed and was rolled back closes its record.
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
    """Return the job of `order` that has not ended, or write it down: see `submit`.

    `admit` is told all jobs before a new one is written down, and what it raises keeps it out.
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
    """Launch a job that is on record, or find the launch that an interrupted call made.

    Its data has been sent before it was written down. Raises `HubtrainError`.
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
    """Launch jobs that are on record by one request, as `launch_claimed` does each.

    Returns for each its record, or what became of it. Where the request is refused, those that an
    earlier one has launched stay.
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
    """Write down the launch and return the record, which somebody may have removed meanwhile.

    Then nobody would find the machine again: it is removed, and that is raised. One that was
    cancelled while it was being launched is cancelled now.
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
    """Return the handle of a launch whose answer never reached the record; none if none is.

    Asks the provider. A job this machine cannot even plan any more has not been launched from it.
    """
    try:
        request = backend.plan(record.spec)
    except (PlanRefused, ValueError):
        return None
    return backend.find(request)


def clear_launch(record: Record, backend: Backend[Any]) -> None:
    """Delete what a launch without a handle has left. Raises `HubtrainError` where it may run."""
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
