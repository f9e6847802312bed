"""A job's record, folded into what is seen of it at a glance."""

from __future__ import annotations

import math
from datetime import datetime

from orchestrator.jobs.glance import Glance
from orchestrator.jobs.record import Record
from orchestrator.jobs.resumable import checkpoint_of
from orchestrator.jobs.watched import watched


def glance_of(record: Record) -> Glance:
    """Return a job as a list shows it."""
    story, spec, told = record.story, record.spec, record.forecast
    machine, progress = spec.machine, story.progress
    measured = watched(record)
    most = spec.limits.seconds(machine.usd_per_hour)
    return Glance(
        job_id=spec.job_id,
        project=spec.project,
        task=spec.task,
        trainer=spec.params.get("trainer"),
        backend=machine.backend,
        flavor=machine.flavor,
        hub=record.hub,
        handle=story.handle,
        state=str(story.state),
        reason=story.reason and str(story.reason),
        final=story.state.final,
        settled=record.settled,
        costing=story.costing,
        cancelling=story.cancel_asked_at is not None,
        step=progress.step if progress else None,
        total_steps=progress.total_steps if progress else None,
        watched=measured and measured[0],
        value=measured and measured[1],
        usd_per_hour=machine.usd_per_hour,
        usd_cap=most / 3600 * machine.usd_per_hour if math.isfinite(most) else None,
        created_at=story.created_at,
        started_at=story.started_at,
        ended_at=story.ended_at,
        billed_until=_billed_until(record),
        as_of=record.as_of,
        usd_expected=told.usd[1] if told else None,
        usd_high=told.usd_at_most if told else None,
        minutes_expected=told.minutes[1] if told else None,
        plain_minutes=told.plain_minutes if told else None,
        parameters=told.parameters if told else 0.0,
        resumable=checkpoint_of(record) is not None,
        resumes=list(spec.start.jobs) if spec.start else [],
        sweep=spec.trial.sweep if spec.trial else None,
        unanswered=record.unanswered,
    )


def _billed_until(record: Record) -> datetime | None:
    story = record.story
    return None if story.overdue else story.billed_until or story.ended_at
