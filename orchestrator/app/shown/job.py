"""A job's page as HTML, around what the page of a running job shows (`worker.show.view`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape

from orchestrator.app.board import Note
from orchestrator.jobs.records import Record
from orchestrator.words import money
from worker.duration import duration, roughly


@dataclass(frozen=True, slots=True)
class Can:
    """What can be done with a job now."""

    stop: bool = False
    resume: bool = False
    again: bool = False
    """Run again with changes: there is a page that does so."""


def controls(record: Record, can: Can, page: str | None, notes: tuple[Note, ...]) -> str:
    """Return what can be done with a job, and what has just been done.

    `page` is the address of the page that its worker serves, while there is one.
    """
    job_id = escape(record.job_id)
    parts = [_button("stop", job_id, "Stop…")] if can.stop else []
    parts += [_button("resume", job_id, "Go on…")] if can.resume else []
    parts += [f'<a href="/new?again={job_id}">Run again with changes</a>'] if can.again else []
    parts += [f'<a href="/compare?a={job_id}">Compare</a>']
    if page:
        parts.append(f'<a href="{escape(page)}" target="_blank" rel="noopener">Its own page</a>')
    parts.append(_button("remove", job_id, "Remove…"))
    told = "".join(
        f'<p class="{"wrong" if note.wrong else "note"}" role="status">{escape(note.text)}</p>'
        for note in notes
    )
    if record.unanswered:
        told += f'<p class="small">Not asked just now: {escape(record.unanswered)}</p>'
    return f'<div class="controls">{"".join(parts)}</div>{told}'


def _button(act: str, job_id: str, words: str) -> str:
    return f'<button class="{act}" data-act="{act}" data-what="{job_id}">{words}</button>'


def cost(record: Record, now: datetime) -> str:
    """Return what a job has cost and taken, beside what was expected of it."""
    rows = "".join(
        f"<tr><th>{name}</th><td>{escape(said)}</td></tr>"
        for name, said in _costs(record, record.known_at(now))
    )
    return f'<table class="settings">{rows}</table>'


def _costs(record: Record, now: datetime) -> Iterator[tuple[str, str]]:
    story, machine, told = record.story, record.spec.machine, record.forecast
    paid = machine.usd_per_hour
    yield "price", f"{money(paid)} an hour" if paid else "free"
    yield "cost", money(story.cost(paid, now)) if paid else "nothing"
    yield "time", duration(story.seconds(now))
    if told and told.plain_minutes:
        yield "expected time", f"about {roughly(told.minutes[1] * 60)}"
    if told and paid:
        low, expected, high = (money(usd) for usd in told.usd)
        yield "expected cost", f"{expected}, between {low} and {high}"
    if (most := record.spec.limits.max_usd) is not None:
        yield "at most", money(most)
    if story.handle:
        yield "handle", story.handle


def log_link(job_id: str) -> str:
    """Return the link to all that a job has printed."""
    return f'<p class="small"><a href="/log?id={escape(job_id)}" download>The whole log</a></p>'


def unknown(name: str, why: str) -> str:
    """Return what is shown for a job that is not there."""
    said = escape(why) if name else "The address names no job."
    return (
        f'<section class="unknown"><h1>No such job</h1><p>{said}</p>'
        '<p><a href="/">All jobs</a></p></section>'
    )
