"""A job as `hubtrain jobs`, `status` and `--json` show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchestrator.records import Record
from orchestrator.words import ago, money, roughly

NOTHING = "-"


def summary(record: Record, now: datetime) -> dict[str, Any]:
    """Return a job as `--json` shows it, with the same keys in every command."""
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
        "commit": story.pushed.commit if story.pushed else None,
        "cost_usd": round(story.cost(spec.machine.usd_per_hour, now), 4),
        "seconds": round(story.seconds(now), 1),
        "costing": story.costing,
        "stage": story.machine.stage if story.machine else None,
        "created_at": story.created_at,
        "started_at": story.started_at,
        "ended_at": story.ended_at,
    }


def row(record: Record, now: datetime) -> tuple[str, ...]:
    """Return a job as `hubtrain jobs` shows it."""
    story, spec = record.story, record.spec
    loss = story.metrics.get("loss")
    step = f"{story.progress.step}/{story.progress.total_steps}" if story.progress else NOTHING
    trainer = spec.params.get("trainer")
    return (
        spec.job_id,
        spec.project,
        f"{spec.task} {trainer}" if trainer else spec.task,
        " ".join(spec.machine.words),
        _state_words(record, now),
        step,
        NOTHING if loss is None else f"{loss:.3f}",
        money(story.cost(spec.machine.usd_per_hour, now)) if spec.machine.usd_per_hour else NOTHING,
    )


ROW = ("JOB", "PROJECT", "TASK", "WHERE", "STATE", "STEP", "LOSS", "COST")


def _state_words(record: Record, now: datetime) -> str:
    story = record.story
    if story.state.final:
        why = "" if story.reason in {None, "ok", "user"} else f" ({story.reason})"
        when = f" {ago(story.ended_at, now)}" if story.ended_at else ""
        return f"{story.state}{why}{when}"
    since = story.started_at or story.created_at
    return f"{story.state} {roughly((now - since).total_seconds())}" if since else story.state
