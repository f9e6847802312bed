"""Verbs over what can be trained, and over jobs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from backends.base import Flavor
from orchestrator import flow, hosted
from orchestrator.api import documents, requests
from orchestrator.api.answers import (
    JobList,
    Launch,
    LogLines,
    Places,
    Replies,
    Tasks,
    WholeJob,
    WholeJobs,
)
from orchestrator.api.launching import checked, gathered, launch, passed, settled, unbounded
from orchestrator.api.schema import TaskSettings, settings_schema
from orchestrator.api.verb import Caller, verb
from orchestrator.inference.trained import answers, model_of
from orchestrator.jobs import ledger as ledgers
from orchestrator.jobs import removal
from orchestrator.jobs.client import Client
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.lines import printed
from orchestrator.jobs.pages import last
from orchestrator.jobs.records import Record
from orchestrator.jobs.resumed import job_to_resume, successor
from orchestrator.jobs.summary import JobSummary, summed_up
from orchestrator.preflight.offering import Offers
from orchestrator.rehearsal import refuse_free
from orchestrator.rehearsal import rehearse as tried
from orchestrator.rehearsal.documents import Rehearsed
from orchestrator.samples import kinds
from orchestrator.settings.layers import ARGUMENTS
from orchestrator.visible import visible
from worker.errors import HubtrainError
from worker.finding import Finding


@verb()
def tasks(caller: Caller, asked: requests.Nothing) -> Tasks:
    """List what can be trained, each with a line of its data."""
    return Tasks(tasks=[documents.kind(one) for one in kinds()])


@verb()
def settings(caller: Caller, asked: requests.OfTask) -> TaskSettings:
    """Describe the settings of a task's jobs as JSON schema."""
    return settings_schema(asked.task, asked.group)


@verb()
def backends_(caller: Caller, asked: requests.Nothing) -> Places:
    """List where jobs can run: backends and their machines with today's prices."""
    found: dict[str, list[Flavor]] = {}
    unanswered = []
    for name in caller.client.places():
        try:
            found[name] = caller.client.provider(name).flavors()
        except HubtrainError as error:
            unanswered.append(f"{name}: {error}")
    return Places(backends=found, unanswered=unanswered)


@verb()
def compare(caller: Caller, asked: requests.Compare) -> Offers:
    """Say what a job would take and cost on every machine, the cheapest finished run first."""
    return Offers.of(flow.compare(caller.client, settled(caller.client, asked)))


@verb()
def check(caller: Caller, asked: requests.Check) -> documents.Checked:
    """Check a job, free and in seconds: account, model, data, memory, minutes and price.

    `ok` says whether it may run, `findings` what was found, each with what mends it.
    """
    job = settled(caller.client, asked)
    report = flow.check(caller.client, job).report
    if report.held:
        report = report.refused()
    if caller.needs_cap and report.ok and (wrong := unbounded(job, report)):
        finding = Finding("warn", "price", wrong.message, wrong.fix)
        report = replace(report, findings=(*report.findings, finding))
    return checked(report)


@verb(changes=True)
def rehearse(caller: Caller, asked: requests.Rehearse) -> Rehearsed:
    """Try a job for a few steps, free, on a Hub made for it here: the real worker, end to end.

    Takes a minute or more. It is for jobs that rent a machine.
    """
    client = caller.client
    if client.guest is not None:
        raise hosted.no_programs("a rehearsal")
    task, found = gathered(client, asked)
    job = flow.ask(client, task, found)
    refuse_free(job)
    report = passed(client, job).report
    done = tried(client, job, report, found, steps=asked.steps, on_progress=caller.on_progress)
    return Rehearsed.model_validate(done.to_json(client.clock.now()))


@verb(changes=True)
def train(caller: Caller, asked: requests.Train) -> Launch:
    """Check a job, send its data and launch it; answers as soon as it is launched.

    The same call again is the same job. Follow it with `job` and `logs`.
    """
    return launch(caller, settled(caller.client, asked))


@verb(changes=True)
def resume(caller: Caller, asked: requests.Resume) -> Launch:
    """Go on with a job that ended without its model, from its last checkpoint, as a new job."""
    client = caller.client
    record = job_to_resume(client, asked.job)
    if done := successor(client, record):
        return Launch(job=_summed_up(client, done), existed=True)
    return launch(caller, flow.resume(client, record, asked.settings, ARGUMENTS))


@verb()
def jobs(caller: Caller, asked: requests.Jobs) -> JobList:
    """List the jobs that are known here, and what they cost now."""
    client = caller.client
    shown, known = _listed(client, asked)
    more = sum(not (asked.open_only and job.settled) for job in known) - len(shown)
    usd = sum(job.usd_per_hour for job in known if job.costing)
    found = [_summed_up(client, one) for one in shown]
    return JobList(jobs=found, more=more, usd_per_hour=usd)


@verb()
def job(caller: Caller, asked: requests.Job) -> JobSummary:
    """Say how a job is now, or how it ended and why; `wait_seconds` waits for its end."""
    return _summed_up(caller.client, _now(caller.client, asked))


@verb(tool=False)
def record(caller: Caller, asked: requests.JobAndEvents) -> WholeJob:
    """Return all that is known of a job: what it was asked to do, and every event of it."""
    return _whole(caller.client, _now(caller.client, asked))


@verb(tool=False)
def records(caller: Caller, asked: requests.Jobs) -> WholeJobs:
    """Return all that is known of jobs, the newest first: as `record` of each."""
    client = caller.client
    shown, _ = _listed(client, asked)
    return WholeJobs(jobs=[_whole(client, one) for one in shown])


@verb()
def logs(caller: Caller, asked: requests.Logs) -> LogLines:
    """Return lines of what a job has printed."""
    client = caller.client
    record = client.record(asked.job)
    read = partial(printed, client, record)
    if asked.after is None:
        found = last(record.job_id, asked.limit, read)
    else:
        found = client.pages.page(record.job_id, asked.after, asked.limit, read)
    shown = [visible(line) for line in found.lines]
    ended = client.records.get(record.job_id).ended
    following = found.first + len(shown)
    return LogLines(job=record.job_id, ended=ended, lines=shown, first=found.first, next=following)


@verb()
def ask(caller: Caller, asked: requests.Ask) -> Replies:
    """Ask the model of a job, on the machine that hubtrain runs on; each question has an answer.

    The model is loaded once for all of them, and let go afterwards.
    """
    client = caller.client
    record = client.record(asked.job)
    told = answers(model_of(client, record), asked.questions, asked.settings)
    return Replies(job=record.job_id, answers=told)


@verb(changes=True)
def cancel(caller: Caller, asked: requests.Cancel) -> JobSummary:
    """Stop a job and its machine, and say how it is once that costs nothing.

    A job that has ended keeps its end.
    """
    watch = caller.client.watch(caller.client.record(asked.job))
    record = watch.cancel()
    if watch.problem is not None:
        raise watch.problem
    return _summed_up(caller.client, record)


@verb(changes=True, removes=True)
def remove(caller: Caller, asked: requests.Remove) -> removal.RemovedJob:
    """Delete what a job left at its provider, and its record. Its model stays."""
    client = caller.client
    record = client.record(asked.job)
    removal.remove_job(client, record, force=asked.force)
    return removal.data_of(client, record, remove=asked.data).document(record.job_id)


@verb()
def cost(caller: Caller, asked: requests.Cost) -> ledgers.Ledger:
    """Say what jobs have cost, beside what was expected, and the budget of the month."""
    how = (asked.by, asked.month)
    return ledgers.ledger(caller.client, *how, offline=not asked.refresh)[0]


def _now(client: Client, asked: requests.Job) -> Record:
    """Return a job as it is now, or once it has ended if that is to be waited for."""
    known = client.record(asked.job)
    if asked.wait_seconds and not known.settled:
        return flow.watch(client, known, timeout=asked.wait_seconds)
    return client.refreshed(known)


def _listed(client: Client, asked: requests.Jobs) -> tuple[list[Record], list[Glance]]:
    """Return the jobs that are to be listed, and all that are known here."""
    known = client.glances()
    known = client.asked(known) if asked.refresh else known
    shown = [job for job in known if not (asked.open_only and job.settled)][: asked.limit]
    get = client.records.get
    return [replace(get(job.job_id), unanswered=job.unanswered) for job in shown], known


def _whole(client: Client, found: Record) -> WholeJob:
    return WholeJob(
        spec=found.spec,
        events=found.events,
        hub=found.hub,
        asked_at=found.asked_at,
        unanswered=found.unanswered,
        page=client.page(found),
    )


def _summed_up(client: Client, record: Record) -> JobSummary:
    return summed_up(record, client.clock.now())
