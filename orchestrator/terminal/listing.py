"""A job as `hubtrain jobs`, `status` and `--json` show it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestrator.jobs.records import Record
from orchestrator.words import ago, clock_time, money
from worker.duration import roughly

NOTHING = "-"


def row(record: Record, now: datetime) -> tuple[str, ...]:
    """Return a job as `hubtrain jobs` shows it."""
    known = record.known_at(now)
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
        money(story.cost(spec.machine.usd_per_hour, known))
        if spec.machine.usd_per_hour
        else NOTHING,
    )


ROW = ("JOB", "PROJECT", "TASK", "WHERE", "STATE", "STEP", "LOSS", "COST")


def unconfirmed(record: Record, now: datetime) -> str:
    """Return since when what is known of a job is not confirmed, and why; empty if it is."""
    if not record.unanswered:
        return ""
    since = record.as_of
    return f"as of {clock_time(since, now) if since else 'its making'}; {record.unanswered}"


def costs(records: Sequence[Record]) -> str:
    """Return which jobs cost something now, and how much an hour; empty if none is known to."""
    costing = [r for r in records if r.story.costing]
    if not costing:
        return ""
    hourly = sum(r.spec.machine.usd_per_hour for r in costing)
    named = ", ".join(
        f"{r.job_id} {money(r.spec.machine.usd_per_hour)}/h{_although_over(r)}" for r in costing
    )
    return f"Costing now: {named}" + (f" · {money(hourly)}/h in all" if len(costing) > 1 else "")


def _although_over(record: Record) -> str:
    return " although it has ended (hubtrain gc stops it)" if record.story.state.final else ""


def _state_words(record: Record, now: datetime) -> str:
    words = _plain_state(record, record.known_at(now))
    if record.story.cancel_asked_at and not record.story.state.final:
        words += ", to be cancelled"
    if record.unanswered and record.as_of:
        words += f" (as of {clock_time(record.as_of, now)})"
    return words


def _plain_state(record: Record, now: datetime) -> str:
    story = record.story
    if story.state.final:
        why = "" if story.reason in {None, "ok", "user"} else f" ({story.reason})"
        when = f" {ago(story.ended_at, now)}" if story.ended_at else ""
        return f"{story.state}{why}{when}"
    since = story.started_at or story.created_at
    return f"{story.state} {roughly((now - since).total_seconds())}" if since else story.state
