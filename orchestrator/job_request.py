"""A job request: validated settings, then its packed data, then the order that is submitted.

It knows where a backend wants the data, and launches nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.base import Backend, LaunchRequest, OnProgress
from backends.errors import PlanRefused
from orchestrator.data import package as shipping
from orchestrator.data.package.notes import seconds_unseen
from orchestrator.jobs.client import Client
from orchestrator.jobs.submit import Order
from orchestrator.plan import Value
from orchestrator.preflight import CheckReport
from orchestrator.preflight.request import Earlier, extras_of
from orchestrator.settings.job import JobSettings
from worker.contract import DataRef, Machine, Trial
from worker.errors import HubtrainError
from worker.home import home, make_private
from worker.hubclient import hub
from worker.manifest import Manifest
from worker.task import Finding, Task


@dataclass(frozen=True)
class JobRequest:
    """A job as its user asks for it: settings read and validated, nothing looked up yet."""

    task: Task[Any]
    params: Any
    job: JobSettings
    backend: Backend[Any]
    flavor: str | None
    options: Any
    project: str
    typed: frozenset[str]
    """Settings given by hand, as flags or arguments."""

    secrets: Mapping[str, str] = field(repr=False)
    """What `launch` hands to the machine, by environment name."""

    shown: tuple[Value, ...] = ()
    """Settings for the plan, each with where it was said."""

    notes: tuple[Finding, ...] = ()
    """What was said and does nothing."""

    earlier: Earlier | None = None
    """The job whose training it goes on with, or does once more; none for a job of its own."""

    manifest: Manifest | None = None
    """What is known of a training that it does once more; none where it does not."""

    trial: Trial | None = None
    """Which trial of a sweep it is; none for a job by itself."""

    @property
    def output(self) -> Path | None:
        """The folder of this machine that gets the model; none if it goes to the Hub alone."""
        return Path.cwd() / self.project if self.backend.sees_my_files else None


@dataclass(frozen=True)
class PackedJob:
    """A checked job and its data, packed in a folder that is there for a while."""

    asked: JobRequest
    report: CheckReport
    package: shipping.Package
    along: shipping.Package | None = None
    """The files that go along (`Task.files`); none where none do."""

    def order(self, data: DataRef | None = None, files: DataRef | None = None) -> Order:
        """Return the job as an order; what is not given is as it will be once it has been sent."""
        planned = self._planned(self.package)
        along = self._planned(self.along) if self.along else None
        order = order_of(self.asked, self.report, planned, data or planned)
        return replace(order, planned_files=along, files=files or along)

    def _planned(self, package: shipping.Package) -> DataRef:
        if self.asked.backend.sees_my_files:
            return shipping.planned_folder(package, home() / "data")
        return shipping.planned_ref(package, self.report.owner)

    @property
    def stored_in(self) -> tuple[str, ...]:
        """The datasets that its data and files go to, or are in already."""
        packages = (self.package, self.along) if self.along else (self.package,)
        return tuple(ref.repo_id for ref in map(self._planned, packages) if ref.repo_id)

    def request(self) -> LaunchRequest:
        """Return what would be sent, for a job that has no id yet. Raises `PlanRefused`."""
        request: LaunchRequest = self.asked.backend.plan(self.order().spec("xxxxxx"))
        return request

    def send(self, client: Client, on_progress: OnProgress) -> tuple[DataRef, DataRef | None]:
        """Put data and files where the machine can read them, and return where. May repeat."""

        def sent(package: shipping.Package) -> DataRef:
            if self.asked.backend.sees_my_files:
                return shipping.local_ref(package, home() / "data")
            api, owner = hub(client.token), str(self.report.owner)
            unseen = seconds_unseen(self.asked.backend)
            return shipping.upload(package, api, owner, on_progress, client.clock, unseen=unseen)

        return sent(self.package), sent(self.along) if self.along else None


def order_of(asked: JobRequest, report: CheckReport, planned: DataRef, data: DataRef) -> Order:
    """Return a job as an order; `planned` is where its data were to go, `data` where they are."""
    earlier = asked.earlier
    return Order(
        task=asked.task.name,
        params={**asked.params.model_dump(mode="json"), **report.known.pinned},
        project=asked.project,
        owner=report.owner,
        model=(earlier.model if earlier else None) or report.model,
        data=data,
        planned_data=planned,
        push=report.push,
        machine=Machine(
            backend=asked.backend.name,
            flavor=report.flavor.name,
            accelerators=report.flavor.accelerators if asked.task.uses_accelerators else 0,
            usd_per_hour=report.flavor.usd_per_hour,
            options=asked.options.model_dump(mode="json"),
        ),
        parallel=report.parallel,
        limits=asked.job.limits(),
        output=asked.output,
        overwrite_output=asked.job.overwrite and asked.output is not None,
        extras=extras_of(asked.task, asked.params),
        forecast=report.estimate.forecast(report.known.parameters),
        start=earlier.start if earlier else None,
        trial=asked.trial,
    )


def refusals(asked: JobRequest, report: CheckReport) -> list[Finding]:
    """Return what the backend says that it cannot do of a checked job, its data not yet packed."""
    if asked.backend.sees_my_files:
        data = DataRef(folder=str(home() / "data"))
    else:
        data = DataRef(repo_id=f"{report.owner or 'you'}/data")
    try:
        asked.backend.plan(order_of(asked, report, data, data).spec("xxxxxx"))
    except PlanRefused as error:
        return [Finding("error", "backend", error.message, error.fix)]
    return []


@contextmanager
def packed(asked: JobRequest, report: CheckReport, on_progress: OnProgress) -> Iterator[PackedJob]:
    """Yield the job with its data packed in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hubtrain-", dir=scratch()))
    try:
        earlier, here = asked.earlier, asked.backend.sees_my_files
        if earlier and earlier.data:
            package = _earlier(earlier.data, here=here)
        else:
            package = shipping.package(report.source, asked.params, folder, on_progress)
        along: shipping.Package | None
        if earlier and earlier.files:
            along = _earlier(earlier.files, here=here)
        else:
            along = shipping.files_along(asked.task.files(asked.params), folder / "along")
        yield PackedJob(asked, report, package, along)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _earlier(ref: DataRef, *, here: bool) -> shipping.Package:
    """Return the data of an earlier job, to be sent where machines do not see it `here`."""
    used = here or ref.repo_id is not None
    return shipping.in_place(ref) if used else shipping.packed_before(ref)


def scratch() -> Path:
    """Return the folder for what is there for a while. Raises `HubtrainError`."""
    folder = home() / "scratch"
    try:
        make_private(home())
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise HubtrainError(
            f"cannot write in {home()}: {error.strerror}.",
            fix="Make room there, or set HUBTRAIN_HOME to another folder.",
        ) from error
    return folder
