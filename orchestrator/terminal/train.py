"""The way from settings to a finished job: check, pack, record, launch, watch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import backends
from backends.base import Backend
from backends.base import Request as PlannedRequest
from orchestrator.data import package as packing
from orchestrator.jobs import again
from orchestrator.jobs.submit import Order, Submitted, submit
from orchestrator.plan import Plan, Value, chosen
from orchestrator.preflight import Findings, Report, Request, check
from orchestrator.settings.job import JobSettings, project_of
from orchestrator.settings.layers import FLAGS, Settings
from orchestrator.settings.secrets import refuse_written_down, secrets_of
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.exits import MENDABLE
from orchestrator.terminal.follow import detachable, follow, unlaunched
from orchestrator.terminal.listing import summary
from orchestrator.words import count, duration
from worker.contract import DataRef, Machine
from worker.errors import BadConfig, HubtrainError
from worker.home import home, make_private
from worker.hubclient import hub
from worker.task import Finding, Task


@dataclass(frozen=True)
class Asked:
    """A command's settings, read and validated."""

    task: Task[Any]
    params: Any
    job: JobSettings
    backend: Backend[Any]
    flavor: str | None
    options: Any
    project: str
    typed: frozenset[str]
    """Settings given as flags."""

    secrets: Mapping[str, str] = field(repr=False)
    """What `launch` hands to the machine, by environment name."""

    shown: tuple[Value, ...] = ()
    """Settings for the plan, each with where it was said."""

    notes: tuple[Finding, ...] = ()
    """What was said and does nothing."""


def train(desk: Desk, task: Task[Any], settings: Settings, *, dry_run: bool, detach: bool) -> int:
    """Check, pack, launch and watch a job; returns the exit code."""
    asked = _asked(task, settings, desk)
    report = _checked(desk, asked)
    if report is None:
        return MENDABLE
    with unlaunched(desk), _packed(desk, asked, report) as package:
        plan = _plan(asked, report, package)  # what the backend cannot do is refused here
        if report.held:
            done = again.same(desk, report, _order(asked, report, package))
            if done is None:
                return _refused(desk, report.refused(), [h.finding for h in report.held])
            if done.story.state.final:
                return again.tell(desk, done)
        if dry_run:
            order = _order(asked, report, package)
            return _show(desk, report, Plan(asked.shown, package, order, plan))
        submitted = _submitted(desk, asked, report, package)
    return _watched(desk, submitted, detach=detach)


def _asked(task: Task[Any], settings: Settings, desk: Desk) -> Asked:
    """Return the settings, validated; raises `BadConfig` that names all that is wrong."""
    found = Findings()
    read = partial(found.attempt, "settings")
    where = str(settings.values.get("backend", JobSettings.model_fields["backend"].default))
    job = read(partial(settings.of, JobSettings))
    params = read(partial(settings.of, task.params))
    place = read(partial(backends.resolve, where))
    options = read(partial(settings.of, place.backend.options)) if place else None
    project = read(partial(project_of, job)) if job else None
    if job is None or params is None or place is None or options is None or project is None:
        raise BadConfig("\n".join(f"{f.text} {f.fix}".strip() for f in found.in_order()))
    backend = place.backend(desk.token, desk.clock)
    secrets = secrets_of(params, desk.token)
    refuse_written_down(options.model_dump(mode="json"), secrets, settings.spelled)
    return Asked(
        task,
        params,
        job,
        backend,
        place.flavor,
        options,
        project,
        typed=frozenset(n for n, origin in settings.origins.items() if origin == FLAGS),
        secrets=secrets,
        shown=chosen((job, params, options), settings, task.shown(params)),
        notes=tuple(Finding("warn", "settings", note) for note in settings.notes),
    )


def _checked(desk: Desk, asked: Asked) -> Report | None:
    """Check the job for free and show the report; none if something must be mended first."""
    with desk.screen.waiting("Checking") as tell:
        request = Request(
            task=asked.task,
            params=asked.params,
            project=asked.project,
            owner=asked.job.username,
            token_given=desk.token is not None,
            job=asked.job,
            typed=asked.typed,
            secrets=frozenset(asked.secrets),
            flavor=asked.flavor,
            output=_output(asked),
        )
        report = check(request, hub(desk.token), asked.backend, desk.clock, tell=tell)
        report = replace(report, findings=(*asked.notes, *report.findings))
    if report.held and again.maker(desk, report) is None:
        report = report.refused()
    desk.screen.say(f"Checked in {duration(report.seconds)}, nothing rented")
    if not report.ok:
        _refused(desk, report, report.findings)
        return None
    desk.screen.findings(report.findings)
    return report


def _refused(desk: Desk, report: Report, findings: Iterable[Finding]) -> int:
    """Say what is wrong, of which `findings` are new, and return the exit code."""
    desk.screen.findings(findings)
    wrong = sum(f.level == "error" for f in report.findings)
    desk.screen.say(f"{count(wrong, 'thing')} to mend. Nothing was created.")
    desk.screen.document(_report_document(report))
    return MENDABLE


def _report_document(report: Report) -> dict[str, Any]:
    return {"report": report.to_json()}


@contextmanager
def _packed(desk: Desk, asked: Asked, report: Report) -> Iterator[packing.Package]:
    """Yield the data packed in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hubtrain-", dir=_scratch()))
    try:
        with desk.screen.stages() as stages:
            yield packing.package(report.source, asked.params, folder, stages)
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


def _output(asked: Asked) -> Path | None:
    """Return the folder of this machine that gets the model; none if it goes to the Hub alone."""
    return Path.cwd() / asked.project if asked.backend.sees_my_files else None


def _order(
    asked: Asked, report: Report, package: packing.Package, data: DataRef | None = None
) -> Order:
    """Return the job as asked for; without `data` as it will be once that has been sent."""
    if asked.backend.sees_my_files:
        planned = packing.planned_folder(package, home() / "data")
    else:
        planned = packing.planned_ref(package, report.owner)
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
            accelerators=report.flavor.accelerators,
            usd_per_hour=report.flavor.usd_per_hour,
            options=asked.options.model_dump(mode="json"),
        ),
        limits=asked.job.limits(),
        output=_output(asked),
        overwrite_output=asked.job.overwrite and _output(asked) is not None,
        extras=(*asked.task.extras, *getattr(asked.params, "extras", ())),
    )


def _plan(asked: Asked, report: Report, package: packing.Package) -> PlannedRequest:
    """Return what would be sent, for a job whose id nobody knows yet. Raises `PlanRefused`."""
    order = _order(asked, report, package)
    plan: PlannedRequest = asked.backend.plan(order.spec("xxxxxx"))
    return plan


def _show(desk: Desk, report: Report, plan: Plan) -> int:
    desk.screen.say("", "The plan; nothing was created:", *plan.lines())
    desk.screen.document({**_report_document(report), **plan.to_json()})
    return 0


def _submitted(desk: Desk, asked: Asked, report: Report, package: packing.Package) -> Submitted:
    records = desk.records  # opened before anything is sent: without a record nothing is launched
    with desk.screen.stages() as stages:
        if asked.backend.sees_my_files:
            data = packing.local_ref(package, home() / "data")
        else:
            data = packing.upload(package, hub(desk.token), str(report.owner), stages, desk.clock)
        order = _order(asked, report, package, data)
        return submit(
            order,
            asked.backend,
            asked.secrets,
            records=records,
            clock=desk.clock,
            report=stages,
        )


def _watched(desk: Desk, submitted: Submitted, *, detach: bool) -> int:
    record = submitted.record
    if submitted.existed:
        there = f"this very job is already there as {record.job_id}; nothing new is launched"
        desk.screen.findings([Finding("warn", "job", there)])
    if detach:
        desk.screen.say(f"Launched as {record.job_id}: {submitted.handle}")
        desk.screen.say(f"watch it   hubtrain logs -f {record.job_id}")
        desk.screen.document(summary(record, desk.clock.now()))
        return 0
    with detachable(desk, record):
        return follow(desk, record)
