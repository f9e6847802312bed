"""The way from settings to a finished job: ask, check, plan or submit, watch.

Values in, values out: nothing here prints, asks a question or ends the process. Every surface (the
terminal, the Python API) calls these functions and shows what they return. Long work tells how far
it is through callbacks. To add a surface, call them in this order.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import backends
from backends.base import Backend, Report, silent
from backends.base import Request as ProviderRequest
from orchestrator.data import package as shipping
from orchestrator.jobs import again
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from orchestrator.jobs.submit import Order, Submitted
from orchestrator.jobs.submit import submit as submit_order
from orchestrator.plan import Plan, Value, chosen
from orchestrator.preflight import Findings, Request
from orchestrator.preflight import Report as CheckReport
from orchestrator.preflight import check as preflight
from orchestrator.preflight.request import extras_of
from orchestrator.settings.autotrain import PLACES_NOT_YET
from orchestrator.settings.job import JobSettings, project_of
from orchestrator.settings.layers import ARGUMENTS, FLAGS, Settings
from orchestrator.settings.secrets import refuse_written_down, secrets_of
from worker.contract import DataRef, Machine
from worker.errors import BadConfig, HubtrainError
from worker.home import home, make_private
from worker.hubclient import hub
from worker.task import Finding, Task


@dataclass(frozen=True)
class Asked:
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

    @property
    def output(self) -> Path | None:
        """The folder of this machine that gets the model; none if it goes to the Hub alone."""
        return Path.cwd() / self.project if self.backend.sees_my_files else None


@dataclass(frozen=True)
class Checked:
    """A job that may be submitted."""

    asked: Asked
    report: CheckReport


@dataclass(frozen=True)
class Refused:
    """A job that cannot be submitted as it stands. Nothing was created."""

    report: CheckReport
    new: tuple[Finding, ...]
    """Those of the report's findings that no earlier step has returned."""


@dataclass(frozen=True)
class AlreadyDone:
    """This very job has been done before; its model is where it was to go."""

    record: Record


@dataclass(frozen=True)
class Planned:
    """A job checked and packed, and what would be sent for it. Nothing was created."""

    report: CheckReport
    plan: Plan


@dataclass(frozen=True)
class _Packed:
    """A checked job and its data, packed in a folder that is there for a while."""

    asked: Asked
    report: CheckReport
    package: shipping.Package

    def order(self, data: DataRef | None = None) -> Order:
        """Return the job as an order; without `data` as it will be once that has been sent."""
        asked, report = self.asked, self.report
        if asked.backend.sees_my_files:
            planned = shipping.planned_folder(self.package, home() / "data")
        else:
            planned = shipping.planned_ref(self.package, report.owner)
        return Order(
            task=asked.task.name,
            params=asked.params.model_dump(mode="json"),
            project=asked.project,
            owner=report.owner,
            model=report.model,
            data=data or planned,
            planned_data=planned,
            push=report.push,
            machine=Machine(
                backend=asked.backend.name,
                flavor=report.flavor.name,
                accelerators=report.flavor.accelerators if asked.task.uses_accelerators else 0,
                usd_per_hour=report.flavor.usd_per_hour,
                options=asked.options.model_dump(mode="json"),
            ),
            limits=asked.job.limits(),
            output=asked.output,
            overwrite_output=asked.job.overwrite and asked.output is not None,
            extras=extras_of(asked.task, asked.params),
        )

    def request(self) -> ProviderRequest:
        """Return what would be sent, for a job that has no id yet. Raises `PlanRefused`."""
        request: ProviderRequest = self.asked.backend.plan(self.order().spec("xxxxxx"))
        return request

    def send(self, client: Client, on_progress: Report) -> DataRef:
        """Put the data where the machine can read it, and return where. May repeat."""
        if self.asked.backend.sees_my_files:
            return shipping.local_ref(self.package, home() / "data")
        owner = str(self.report.owner)
        return shipping.upload(self.package, hub(client.token), owner, on_progress, client.clock)


def ask(client: Client, task: Task[Any], settings: Settings) -> Asked:
    """Return the settings, validated; raises `BadConfig` that names all that is wrong."""
    found = Findings()
    read = partial(found.attempt, "settings")
    where = str(settings.values.get("backend", JobSettings.model_fields["backend"].default))
    job = read(partial(settings.of, JobSettings))
    params = read(partial(settings.of, task.params))
    place = read(partial(backends.resolve, where, PLACES_NOT_YET))
    options = read(partial(settings.of, place.backend.options)) if place else None
    project = read(partial(project_of, job)) if job else None
    if job is None or params is None or place is None or options is None or project is None:
        raise BadConfig("\n".join(f"{f.text} {f.fix}".strip() for f in found.in_order()))
    secrets = secrets_of(params, client.token)
    refuse_written_down(options.model_dump(mode="json"), secrets, settings.spelled)
    return Asked(
        task,
        params,
        job,
        place.backend(client.token, client.clock),
        place.flavor,
        options,
        project,
        typed=frozenset(
            n for n, origin in settings.origins.items() if origin in {ARGUMENTS, FLAGS}
        ),
        secrets=secrets,
        shown=chosen((job, params, options), settings, task.shown(params)),
        notes=tuple(Finding("warn", "settings", note) for note in settings.notes),
    )


def check(
    client: Client, asked: Asked, on_step: Callable[[str], None] = lambda step: None
) -> Checked | Refused:
    """Check the job: free, in seconds, everything wrong at once.

    `on_step` is told, from several threads, what is looked at now.
    """
    request = Request(
        task=asked.task,
        params=asked.params,
        project=asked.project,
        owner=asked.job.username,
        token_given=client.token is not None,
        job=asked.job,
        typed=asked.typed,
        secrets=frozenset(asked.secrets),
        flavor=asked.flavor,
        output=asked.output,
    )
    report = preflight(request, hub(client.token), asked.backend, client.clock, tell=on_step)
    report = replace(report, findings=(*asked.notes, *report.findings))
    if report.held and again.maker(client, report.makers) is None:
        report = report.refused()
    return Checked(asked, report) if report.ok else Refused(report, report.findings)


def plan(
    client: Client, checked: Checked, on_progress: Report = silent
) -> Planned | AlreadyDone | Refused:
    """Pack the data and return what would be sent; nothing is created. Raises `PlanRefused`."""
    with _packed(checked, on_progress) as packed:
        request = packed.request()
        shown = Plan(checked.asked.shown, packed.package, packed.order(), request)
        return _made_before(client, packed) or Planned(checked.report, shown)


def submit(
    client: Client, checked: Checked, on_progress: Report = silent
) -> Submitted | AlreadyDone | Refused:
    """Pack, send and launch a checked job, exactly once.

    Interrupted anywhere, the same call goes on where it stopped. Raises `HubtrainError`.
    """
    asked = checked.asked
    with _packed(checked, on_progress) as packed:
        packed.request()  # what the backend cannot do is refused here
        if made := _made_before(client, packed):
            return made
        records = client.records  # before anything is sent: without a record nothing is launched
        order = packed.order(packed.send(client, on_progress))
        return submit_order(
            order,
            asked.backend,
            asked.secrets,
            records=records,
            clock=client.clock,
            report=on_progress,
        )


def watch(
    client: Client,
    record: Record,
    *,
    on_news: Callable[[Record], None] | None = None,
    on_line: Callable[[str], None] | None = None,
    timeout: float | None = None,
) -> Record:
    """Watch a job until it has ended and its machine costs nothing; returns the job as it is then.

    Blocks, for `timeout` seconds at most; an interrupt or a timeout leaves the job as it is.
    `on_news` is told of every change, `on_line` of every line of output. Raises `HubtrainError` if
    its provider refuses to be asked.
    """
    watching = client.watch(record)
    watching.on_news = on_news or watching.on_news
    watching.on_line = on_line or watching.on_line
    return watching.follow(timeout)


def _made_before(client: Client, packed: _Packed) -> AlreadyDone | Refused | None:
    """Return what is to be said of a job in whose place a model lies already; else none."""
    report = packed.report
    if not report.held:
        return None
    made = again.same(client, report.makers, packed.order())
    if made is None:
        return Refused(report.refused(), tuple(held.finding for held in report.held))
    return AlreadyDone(made) if made.story.state.final else None


@contextmanager
def _packed(checked: Checked, on_progress: Report) -> Iterator[_Packed]:
    """Yield the job with its data packed in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hubtrain-", dir=_scratch()))
    asked, report = checked.asked, checked.report
    try:
        package = shipping.package(report.source, asked.params, folder, on_progress)
        yield _Packed(asked, report, package)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scratch() -> Path:
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
