"""A job as one JSON document, the same on every surface."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchestrator.jobs.records import Record
from orchestrator.jobs.resumable import checkpoint_of


def summary(record: Record, now: datetime) -> dict[str, Any]:
    """Return a job as `--json` shows it, with the same keys in every command."""
    now = record.known_at(now)
    story, spec = record.story, record.spec
    return {
        "job": spec.job_id,
        "project": spec.project,
        "task": spec.task,
        "trainer": spec.params.get("trainer"),
        "backend": spec.machine.backend,
        "flavor": spec.machine.flavor,
        "state": story.state,
        "reason": story.reason,
        "message": story.message,
        "phase": story.phase,
        "step": story.progress.step if story.progress else None,
        "total_steps": story.progress.total_steps if story.progress else None,
        "metrics": story.metrics,
        "handle": story.handle,
        "url": story.url,
        "model": story.pushed.url if story.pushed else story.output,
        "resumable": _resumable(record),
        "resumes": list(spec.start.jobs) if spec.start else [],
        "trial": spec.trial.model_dump() if spec.trial else None,
        "commit": story.pushed.commit if story.pushed else None,
        "cost_usd": round(story.cost(spec.machine.usd_per_hour, now), 4),
        "seconds": round(story.seconds(now), 1),
        "costing": story.costing,
        "stage": story.machine.stage if story.machine else None,
        "usd_per_hour": spec.machine.usd_per_hour,
        "cancel_asked_at": story.cancel_asked_at,
        "hub": record.hub,
        "as_of": record.as_of,
        "unanswered": record.unanswered or None,
        "created_at": story.created_at,
        "started_at": story.started_at,
        "ended_at": story.ended_at,
    }


def _resumable(record: Record) -> dict[str, Any] | None:
    """Return the checkpoint that training can go on from; none where there is none."""
    last = checkpoint_of(record)
    return {"step": last.step, "where": last.where} if last else None
