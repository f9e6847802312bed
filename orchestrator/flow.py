"""The way from settings to a finished job: ask, check, plan or submit, watch.

Values in, values out: nothing here prints, asks a question or ends the process. Every surface (the
terminal, the app, the Python API) calls these functions and shows what they return. Long work
reports progress through callbacks. To add a surface, call them in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import backends
import worker.tasks
from backends.base import Backend, OnProgress, silent
from backends.batch_launch import Together
from orchestrator import deduplication, hosted, month_budget, preflight, rerunning, resuming
from orchestrator.job_request import JobRequest, PackedJob, packed, refusals
from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.holding import held
from orchestrator.jobs.records import Record
from orchestrator.jobs.resumed import refuse_twice
from orchestrator.jobs.submit import Order, Submitted, claim, launch_claimed, launch_together
from orchestrator.jobs.watch import Silence
from orchestrator.original import Original
from orchestrator.plan import Plan, chosen
from orchestrator.preflight import CheckReport, CheckRequest, Compared, Findings
from orchestrator.preflight.request import way_of
from orchestrator.settings.autotrain import PLACES_NOT_YET
from orchestrator.settings.job import JobSettings, named, project_of
from orchestrator.settings.layers import ARGUMENTS, FLAGS, Settings
from orchestrator.settings.secrets import refuse_written_down, secrets_of
from worker import launch
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import hub
from worker.task import Finding, Task


@dataclass(frozen=True)
class Checked:
    """A job that may be submitted."""

    asked: JobRequest
    report: CheckReport
    ended: frozenset[str] = frozenset()
    """Jobs of this laptop that had ended when it was checked."""


@dataclass(frozen=True)
class Refused:
    """A job that cannot be submitted as it stands. Nothing was created."""

    report: CheckReport
    new: tuple[Finding, ...]
    """The findings of the report that no earlier step has returned."""


@dataclass(frozen=True)
class AlreadyDone:
    """The same job has succeeded before; its model is in the target."""

    record: Record


@dataclass(frozen=True)
class Planned:
    """A job that was checked and packed, with its plan. Nothing was created."""

    report: CheckReport
    plan: Plan


def ask(client: Client, task: Task[Any], settings: Settings) -> JobRequest:
    """Return the validated settings. Raises `BadConfig`, which names everything that is wrong."""
    found = Findings()
    read = partial(found.attempt, "settings")
    where = str(settings.values.get("backend", JobSettings.model_fields["backend"].default))
    if client.guest is not None:
        hosted.refuse(settings.catalog.settings, settings.values, where)
    job = read(partial(settings.of, JobSettings))
    params = read(partial(settings.of, task.params))
    place = read(partial(backends.resolve, where, PLACES_NOT_YET))
    options = read(partial(settings.of, place.backend.options)) if place else None
    job = named(job, task.project(params)) if job and params else job
    project = read(partial(project_of, job)) if job and not _named_by(task, params) else None
    if job is None or params is None or place is None or options is None or project is None:
        raise BadConfig("\n".join(map(_in_lines, found.in_order())))
    why = launch.unused(way_of(task, params), together=task.trains_together(params))
    why |= {**task.unused(params), **backends.unused_beside(place.backend)}
    unused = settings.unused(why)
    secrets = secrets_of(params, client.token, settings.apart)
    backend = place.backend(client.token, client.clock).having(options, place.flavor)
    notes = [Finding("warn", "settings", note) for note in (*settings.notes, *unused)]
    if _pushes_unasked(task, backend, settings):
        job = job.model_copy(update={"push_to_hub": True})
        text = f"what it leaves goes to the Hub: {backend.name} keeps no files after a job"
        notes.append(Finding("ok", "project", text))
    written = {k: v for one in (job, params, options) for k, v in one.model_dump().items()}
    refuse_written_down(written, secrets, settings.spelled)
    return JobRequest(
        task,
        params,
        job,
        backend,
        place.flavor,
        options,
        project,
        typed=frozenset(
            n for n, origin in settings.origins.items() if origin in {ARGUMENTS, FLAGS}
        ),
        secrets=secrets,
        shown=chosen((job, params, options), settings, task.shown(params)),
        notes=tuple(notes),
    )


def resume(
    client: Client, record: Record, changes: Mapping[str, Any], source: str = FLAGS
) -> JobRequest:
    """Return a job that resumes the training of another job, with some settings changed.

    Raises `BadConfig` for a job that cannot be resumed, and for changes that are impossible in the
    middle of a training.
    """
    earlier = resuming.resumed(record)
    task = worker.tasks.load(record.spec.task)
    asked = ask(client, task, resuming.settings_of_job(record.spec, changes, source))
    resuming.refuse_other_training(record.spec, asked.params, asked.task)
    return replace(asked, earlier=earlier)


def rerun(
    client: Client, original: Original, changes: Mapping[str, Any], source: str = FLAGS
) -> JobRequest:
    """Return a job that repeats a training, with some settings changed.

    Raises `BadConfig`, also if a training that is not on record lacks a setting that only the user
    can give.
    """
    settings = rerunning.settings_of_original(original, changes, source)
    asked = ask(client, worker.tasks.load(original.spec.task), settings)
    found = rerunning.earlier(original, asked)
    return replace(asked, earlier=found, manifest=original.manifest)


def _named_by(task: Task[Any], params: Any) -> bool:
    """Whether an unnamed job takes its name from settings that are invalid."""
    return params is None and type(task).project is not Task.project


def _pushes_unasked(task: Task[Any], backend: Backend[Any], settings: Settings) -> bool:
    """Whether the job's output goes to the Hub although `push_to_hub` is not given."""
    said = settings.values.get("push_to_hub") is not None
    return task.makes == "output" and not backend.keeps_disk and not said


def _in_lines(finding: Finding) -> str:
    """Return a finding as text, its fix on the same line, or below a text of several lines."""
    between = "\n  " if "\n" in finding.text else " "
    return f"{finding.text}{between}{finding.fix}" if finding.fix else finding.text


def check(
    client: Client, asked: JobRequest, on_step: Callable[[str], None] = lambda step: None
) -> Checked | Refused:
    """Check the job: free, in seconds, all errors at once.

    `on_step` is called from several threads with what is being checked now.
    """
    jobs = client.glances()
    report = preflight.check(
        _request(client, asked),
        hub(client.token),
        asked.backend,
        client.clock,
        tell=on_step,
        history=month_budget.runs(jobs, client.clock.now()),
    )
    report = replace(report, findings=(*asked.notes, *report.findings))
    if client.guest is not None:
        report = replace(report, findings=hosted.in_their_words(report.findings))
    if client.guest is not None and report.ok:
        most = report.estimate.minutes.high * 60
        most = min(most, asked.job.limits().max_seconds or most)
        late = hosted.too_long(client.guest, most, client.clock.now())
        report = report.with_errors([late]) if late else report
    if report.ok and (refused := refusals(asked, report)):
        report = report.with_errors(refused)
    if report.ok:
        about = (*rerunning.unlike(asked, report), *rerunning.moved(client, asked))
        report = replace(report, findings=(*about, *report.findings))
    alike = {job.job_id for job in jobs if job.project == asked.project}
    if not report.held and (
        broken := month_budget.over_budget(client.charged(jobs), client.clock.now(), report, alike)
    ):
        report = report.with_errors([broken])
    if report.held and deduplication.maker(client, report.makers) is None:
        report = deduplication.refuse_unless_same(asked, report)
    ended = frozenset(job.job_id for job in jobs if job.final)
    return Checked(asked, report, ended) if report.ok else Refused(report, report.findings)


def _request(client: Client, asked: JobRequest) -> CheckRequest:
    return CheckRequest(
        task=asked.task,
        params=asked.params,
        project=asked.project,
        owner=asked.job.username,
        token_given=client.token is not None,
        job=asked.job,
        typed=asked.typed,
        secrets=frozenset(asked.secrets),
        flavor=asked.flavor,
        options=asked.options,
        places=tuple(client.places()),
        output=asked.output,
        earlier=asked.earlier,
    )


def compare(
    client: Client, asked: JobRequest, on_step: Callable[[str], None] = lambda step: None
) -> Compared:
    """Return time and cost of the job on every machine. Nothing is rented or created."""
    return preflight.compare(
        _request(client, asked),
        hub(client.token),
        asked.backend,
        [
            asked.backend if name == asked.backend.name else client.provider(name)
            for name in client.places()
        ],
        client.clock,
        tell=on_step,
        history=month_budget.runs(client.glances(), client.clock.now()),
    )


def asked_before(client: Client, record: Record) -> JobRequest:
    """Return the request of a job on record. Raises `BadConfig` if another version made it."""
    spec = record.spec
    try:
        task = worker.tasks.load(spec.task)
        params = task.params.model_validate(spec.params)
        backend = client.provider(spec.machine.backend)
        options = backend.options_of(spec)
    except ValueError as error:
        raise BadConfig(
            f"{spec.job_id} has settings of another version of hubtrain.",
            fix="hubtrain backends --for TASK with its settings",
        ) from error
    job = JobSettings(
        project_name=spec.project,
        backend=spec.machine.backend,
        username=spec.owner,
        push_to_hub=spec.push is not None,
        max_cost=spec.limits.max_usd,
    )
    backend = backend.having(options, spec.machine.flavor)
    return JobRequest(
        task, params, job, backend, None, options, spec.project, frozenset(), secrets={}
    )


def plan(
    client: Client, checked: Checked, on_progress: OnProgress = silent
) -> Planned | AlreadyDone | Refused:
    """Pack the data and return the plan. Nothing is created. Raises `PlanRefused`."""
    with packed(checked.asked, checked.report, on_progress) as job:
        request = job.request()
        shown = Plan(checked.asked.shown, job.package, job.order(), request, job.along)
        refused = _made_before(client, job) or _broken_budget(client, job)
        return refused or Planned(checked.report, shown)


def submit(
    client: Client, checked: Checked, on_progress: OnProgress = silent
) -> Submitted | AlreadyDone | Refused:
    """Pack, upload and launch a checked job, exactly once.

    If it is interrupted, the same call continues where it stopped. Raises `HubtrainError`.
    """
    written, asked = write_down(client, checked, on_progress), checked.asked
    if not isinstance(written, Record):
        return written
    how: dict[str, Any] = {"records": client.records, "clock": client.clock}
    return launch_claimed(written, asked.backend, asked.secrets, on_progress=on_progress, **how)


def write_down(
    client: Client, checked: Checked, on_progress: OnProgress = silent
) -> Record | AlreadyDone | Refused:
    """Pack, upload and record a checked job: the part of `submit` before the launch.

    From then on `gc`, and the same command, find the job. Raises `HubtrainError`.
    """
    with packed(checked.asked, checked.report, on_progress) as job:
        job.request()  # what the backend cannot do is refused here
        if made := _made_before(client, job) or _broken_budget(client, job):
            return made
        how: dict[str, Any] = {"records": client.records, "clock": client.clock}
        with held(job.stored_in, on_progress):  # until it is on record that a job reads them
            order = job.order(*job.send(client, on_progress))
            admit = partial(_admit, client, job.report, order)
            try:
                return claim(order, ended=checked.ended, admit=admit, **how)
            except month_budget.OverBudget as broken:  # by a job made since it was packed
                return _refused(job, broken.finding)


def complete(
    client: Client, asked: JobRequest, record: Record, on_progress: OnProgress = silent
) -> Record:
    """Launch a recorded job whose launch was interrupted; `asked` has its secrets.

    Exactly once, as `submit` does. Raises `HubtrainError`.
    """
    how: dict[str, Any] = {"records": client.records, "clock": client.clock}
    return launch_claimed(
        record, asked.backend, asked.secrets, on_progress=on_progress, **how
    ).record


def together(asked: JobRequest) -> int:
    """Return how many jobs like this one its backend can launch with one request."""
    return asked.backend.most if isinstance(asked.backend, Together) else 1


def launch_all(
    client: Client,
    jobs: Sequence[tuple[JobRequest, Record]],
    at_once: int,
    on_progress: OnProgress = silent,
) -> list[Record | HubtrainError]:
    """Launch recorded jobs that share one backend and the same secrets.

    A backend that can launch several jobs with one request then runs at most `at_once` of them at
    a time. Returns for each job its record, or the error.
    """
    asked = jobs[0][0]
    if len(jobs) > 1 and isinstance(asked.backend, Together):
        return launch_together(
            [record for _, record in jobs],
            asked.backend,
            asked.secrets,
            at_once,
            records=client.records,
            clock=client.clock,
            on_progress=on_progress,
        )

    def launched(asked: JobRequest, record: Record) -> Record | HubtrainError:
        try:
            return complete(client, asked, record, on_progress)
        except HubtrainError as error:
            return error

    return [launched(asked, record) for asked, record in jobs]


def watch(
    client: Client,
    record: Record,
    *,
    on_news: Callable[[Record], None] | None = None,
    on_line: Callable[[str], None] | None = None,
    on_silence: Callable[[Silence], None] | None = None,
    timeout: float | None = None,
) -> Record:
    """Watch a job until it has ended and its machine costs nothing; return the job as it is then.

    Blocks for `timeout` seconds at most. An interrupt or a timeout does not stop the job.
    `on_news` is called on every change, `on_line` with every line of output, `on_silence` when the
    provider stops answering and when it answers again. Raises `HubtrainError` if the provider
    refuses access.
    """
    watching = client.watch(record)
    watching.on_news = on_news or watching.on_news
    watching.on_line = on_line or watching.on_line
    watching.on_silence = on_silence or watching.on_silence
    return watching.follow(timeout)


def _broken_budget(client: Client, job: PackedJob) -> Refused | None:
    """Return the refusal of a new job that exceeds the month's budget, or none.

    A job that is running already is not refused: its cost is in the budget.
    """
    this = client.records.open_one(job.order().fingerprint)
    if this is not None:
        return None
    jobs = client.charged(client.glances())
    broken = month_budget.over_budget(jobs, client.clock.now(), job.report)
    return _refused(job, broken) if broken else None


def _admit(client: Client, report: CheckReport, order: Order, jobs: list[Glance]) -> None:
    """Refuse a job for which the budget has no room, jobs recorded since the check included."""
    refuse_twice(order, jobs)
    if broken := month_budget.over_budget(jobs, client.clock.now(), report):
        raise month_budget.OverBudget(broken)


def _refused(job: PackedJob, broken: Finding) -> Refused:
    return Refused(job.report.with_errors([broken]), (broken,))


def _made_before(client: Client, job: PackedJob) -> AlreadyDone | Refused | None:
    """Return the outcome of a job whose target holds a model already, or none."""
    report = job.report
    if not report.held:
        return None
    order = job.order()
    made = deduplication.existing_job(client, report, order)
    if made is None:
        refused = deduplication.refuse(report, order)
        new = tuple(one for one in refused.findings if one not in report.findings)
        return Refused(refused, new)
    return AlreadyDone(made) if made.story.state.final else None
