"""A rehearsal as documents: what it answers, and the report of it that is kept."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from pydantic import Field

from orchestrator.document import Document
from orchestrator.jobs.summary import JobSummary
from orchestrator.preflight.offering import Offers
from worker.finding import Finding


class Shown(Document):
    """One thing that a rehearsal has shown, or could not show."""

    topic: str
    text: str


class Took(Document):
    """Something that a rehearsal did, and how long that took."""

    what: str
    seconds: float


class Rehearsed(Document):
    """What a rehearsal has shown. Nothing was rented, nothing was created on the real Hub."""

    ok: bool
    """Whether the job came to its good end."""

    proved: list[Shown]
    not_proved: list[Shown]
    job: JobSummary
    rehearsal: str = ""
    """Under which name its report is kept."""

    took: tuple[Took, ...] = ()
    """What it did, in order."""

    memory_bytes: int | None = None
    """Most main memory that the worker and its trainer held here, with what stood in for the
    model; none where that cannot be seen."""

    offers: Offers | None = None
    """What the whole job would take on every machine; none where that is not known."""


class Outcome(StrEnum):
    """How a rehearsal is, or how it ended."""

    RUNNING = auto()
    SUCCEEDED = auto()
    """The job came to its good end."""

    FAILED = auto()
    """It did not."""

    REFUSED = auto()
    """It could not begin, or not go on: what it takes was not there."""

    STOPPED = auto()
    """Its user ended it."""

    LOST = auto()
    """Its process was ended by somebody else, and nobody has told its end."""


class Report(Document):
    """A rehearsal as it is kept, while it runs and afterwards. It holds no secret."""

    rehearsal: str
    """Its name: six characters."""

    project: str
    task: str
    backend: str
    """The machine of the job that is tried, as it is written behind `--backend`."""

    outcome: Outcome = Outcome.RUNNING
    doing: str = ""
    """What it is busy with; empty once it is over."""

    began_at: datetime
    ended_at: datetime | None = None
    steps: int = 0
    """Steps that are trained."""

    runner: str = ""
    """What its Space was."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the job, those that a plan shows."""

    found: tuple[Finding, ...] = ()
    """What the check of the job found."""

    took: tuple[Took, ...] = ()
    memory_bytes: int | None = None
    offers: Offers | None = None
    proved: tuple[Shown, ...] = ()
    not_proved: tuple[Shown, ...] = ()
    error: str = ""
    """What went wrong; empty where nothing did."""

    fix: str = ""
    """What mends it."""

    detail: str = ""
    """The last words of a trainer that failed."""

    spec: dict[str, Any] | None = None
    """The job that was tried, as a `JobSpec`; none before there was one."""

    events: tuple[dict[str, Any], ...] = ()
    """What it told."""
