"""Answers that only calls have: commands print lists of the same documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backends.base import Flavor
from orchestrator.api.documents import Kind
from orchestrator.deploy.documents import Deployment
from orchestrator.document import Document
from orchestrator.jobs.removal import RemovedJob
from orchestrator.jobs.summary import JobSummary
from orchestrator.preflight.estimate import Estimate
from orchestrator.sweep.documents import Sweep
from worker.contract import Event, JobSpec
from worker.finding import Finding


class Tasks(Document):
    """What can be trained."""

    tasks: list[Kind]


class Places(Document):
    """Where jobs can run, with today's prices."""

    backends: dict[str, list[Flavor]]
    unanswered: list[str]
    """What could not be asked, and why."""


class JobList(Document):
    """Jobs, the newest first."""

    jobs: list[JobSummary]
    more: int
    """How many others there are."""

    usd_per_hour: float
    """What all jobs together cost now, as far as it is known."""


class WholeJob(Document):
    """All that is known of a job, as its record has it."""

    spec: JobSpec
    events: tuple[Event, ...]
    """What it is now, and was, follows from them."""

    hub: str
    asked_at: datetime | None
    """When its provider answered last."""

    unanswered: str
    """Why its provider could not be asked just now; empty if it was, or did not need to be."""

    page: str | None
    """Address of its page as its owner opens it: it may hold a key."""


class WholeJobs(Document):
    """All that is known of jobs, the newest first."""

    jobs: list[WholeJob]


class Replies(Document):
    """What the model of a job answers: text to a prompt, plain data to fields or columns."""

    job: str
    answers: list[Any]
    """One for each question."""


class LogLines(Document):
    """Lines of a job's output, without what it measured: that is in `job`."""

    job: str
    ended: bool
    lines: list[str]
    first: int
    """How many lines come before these."""

    next: int
    """What to give as `after` for the lines that follow."""


class Launch(Document):
    """A job that was launched."""

    job: JobSummary
    existed: bool
    """Whether this very job was there already: nothing new was launched."""

    findings: tuple[Finding, ...] = ()
    """What its check has found."""

    estimate: Estimate | None = None
    """Minutes and US dollars; none for a job that was there before it was checked."""


class Deployed(Document):
    """A deployment that was made, or brought up to date."""

    deployment: Deployment
    findings: tuple[Finding, ...] = ()
    """What its check has found."""


class DeploymentList(Document):
    """Deployments, the newest first."""

    deployments: list[Deployment]
    usd_per_hour: float
    """What all of them together cost now, as far as it is known."""


class StartedSweep(Document):
    """A sweep that goes on by itself."""

    sweep: Sweep
    existed: bool
    """Whether it ran already: nothing new was begun."""

    findings: tuple[Finding, ...] = ()
    """What the check of its first trial has found; none where it is gone on with."""


class RemovedSweep(Document):
    """A sweep that was deleted."""

    sweep: str
    jobs: list[RemovedJob]
    """Its trials."""


class SweepList(Document):
    """Sweeps that were begun on this machine."""

    sweeps: list[Sweep]
