"""A job as one JSON document, the same on every surface."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchestrator.document import Document
from orchestrator.jobs.records import Record
from orchestrator.jobs.resumable import checkpoint_of
from worker.contract import EndReason, State, Trial


class Resumable(Document):
    """A checkpoint that a training can go on from."""

    step: int
    where: str
    """`REPO@COMMIT` on the Hub, or a folder of this machine."""


class JobSummary(Document):
    """A job as it is now, or as it ended."""

    job: str
    """Its id: six characters."""

    project: str
    """Its project's name, which is that of its model."""

    task: str
    trainer: str | None
    """Which of the task's trainers; none where it has no choice of them."""

    backend: str
    flavor: str | None
    """The machine, in its provider's word."""

    state: State
    reason: EndReason | None
    """Why it ended; none while it has not."""

    message: str
    """What went wrong, in a sentence; empty if nothing did."""

    phase: str
    """What it is busy with when it is not training: `loading model`; empty otherwise."""

    step: int | None
    total_steps: int | None
    metrics: dict[str, float]
    """The newest value of each measurement, such as `loss` and `valid_loss`."""

    handle: str | None
    """Name that finds it from any machine; none before it was launched."""

    url: str | None
    """Its page, without the key that may open it."""

    model: str | None
    """Address of its model on the Hub, or the folder that holds it; none before there is one."""

    resumable: Resumable | None
    """Where `resume` would go on; none where it could not."""

    resumes: list[str]
    """The jobs whose training it goes on with, the newest last."""

    trial: Trial | None
    """Which trial of which sweep it is; none for a job by itself."""

    commit: str | None
    """Commit of the model on the Hub."""

    cost_usd: float
    """What its machine has cost so far, by its price when it was launched."""

    seconds: float
    """How long its machine has worked."""

    costing: bool | None
    """Whether it costs now, as far as its provider has said."""

    stage: str | None
    """How its machine is, in its provider's word."""

    usd_per_hour: float
    cancel_asked_at: datetime | None
    """Since when somebody wants it stopped."""

    hub: str
    """Address of the Hub it belongs to."""

    as_of: datetime | None
    """Since when what is told here has not been confirmed."""

    unanswered: str | None
    """Why its provider could not be asked just now; none if it was, or did not need to be."""

    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


def summary(record: Record, now: datetime) -> dict[str, Any]:
    """Return a job as `--json` shows it, with the same keys in every command."""
    return summed_up(record, now).model_dump()


def summed_up(record: Record, now: datetime) -> JobSummary:
    """Return a job as a document."""
    now = record.known_at(now)
    story, spec = record.story, record.spec
    last = checkpoint_of(record)
    return JobSummary(
        job=spec.job_id,
        project=spec.project,
        task=spec.task,
        trainer=spec.params.get("trainer"),
        backend=spec.machine.backend,
        flavor=spec.machine.flavor,
        state=story.state,
        reason=story.reason,
        message=story.message,
        phase=story.phase,
        step=story.progress.step if story.progress else None,
        total_steps=story.progress.total_steps if story.progress else None,
        metrics=story.metrics,
        handle=story.handle,
        url=story.url,
        model=story.pushed.url if story.pushed else story.output,
        resumable=Resumable(step=last.step, where=last.where) if last else None,
        resumes=list(spec.start.jobs) if spec.start else [],
        trial=spec.trial,
        commit=story.pushed.commit if story.pushed else None,
        cost_usd=round(story.cost(spec.machine.usd_per_hour, now), 4),
        seconds=round(story.seconds(now), 1),
        costing=story.costing,
        stage=story.machine.stage if story.machine else None,
        usd_per_hour=spec.machine.usd_per_hour,
        cancel_asked_at=story.cancel_asked_at,
        hub=record.hub,
        as_of=record.as_of,
        unanswered=record.unanswered or None,
        created_at=story.created_at,
        started_at=story.started_at,
        ended_at=story.ended_at,
    )
