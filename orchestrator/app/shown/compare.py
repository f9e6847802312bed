"""Two jobs laid over each other as HTML: their curves in the same charts, and what differs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import Any

from orchestrator.jobs.glance import Glance
from orchestrator.jobs.records import Record
from orchestrator.jobs.view import view_of
from orchestrator.words import ago, money
from worker.contract import State
from worker.duration import roughly
from worker.show.view import WORDS, View, laid_over, told_settings

MOST = 500
"""Jobs that can be chosen from, the newest ones."""


def choices(jobs: Iterable[Glance], also: Iterable[str], now: datetime) -> list[tuple[str, str]]:
    """Return the jobs to choose from, in words and by id; `also` those, however old they are."""
    named = set(also)
    newest = [job for n, job in enumerate(jobs) if n < MOST or job.job_id in named]
    return [(_called(job, now), job.job_id) for job in newest]


def _called(job: Glance, now: datetime) -> str:
    made = ago(job.created_at, now) if job.created_at else ""
    return f"{job.project} · {WORDS[State(job.state)].lower()}, {made} · {job.job_id}"


def compared(one: Record, other: Record, now: datetime) -> str:
    """Return two jobs beside each other."""
    views = view_of(one, now), view_of(other, now)
    names = _names(one, other)
    heads = "".join(
        f'<th scope="col">{_link(r, n)}</th>' for r, n in zip((one, other), names, strict=True)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(a)}</td><td>{escape(b)}</td></tr>'
        for name, a, b in [*_results(views, now), *_differing(views)]
    )
    same = "" if any(_differing(views)) else "<p>No setting differs.</p>"
    table = (
        f'<table class="settings compared"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    curves = laid_over(tuple(zip(names, views, strict=True)))
    return f'<div class="laid-over">{curves}</div>{table}{same}'


def _names(one: Record, other: Record) -> tuple[str, str]:
    """Return what the two are called; their ids where they are called the same."""
    if one.spec.project != other.spec.project:
        return one.spec.project, other.spec.project
    return one.job_id, other.job_id


def _link(record: Record, name: str) -> str:
    return f'<a href="/job?id={escape(record.job_id)}">{escape(name)}</a>'


def _results(views: tuple[View, View], now: datetime) -> list[tuple[str, str, str]]:
    """Return how each of the two went."""
    told = [_result(view, now) for view in views]
    names = dict.fromkeys(name for one in told for name in one)
    return [(name, *(one.get(name, "") for one in told)) for name in names]  # type: ignore[misc]


def _result(view: View, now: datetime) -> dict[str, str]:
    story, machine = view.story, view.spec.machine
    measured = {
        name.replace("_", " "): f"{value:.4g}"
        for name, value in story.metrics.items()
        if name.removeprefix("valid_") in {"loss", *view.telling}
    }
    where = " ".join(dict.fromkeys(filter(None, (machine.backend, machine.flavor))))
    return {
        "state": WORDS[story.state].lower(),
        **measured,
        "time": roughly(story.seconds(now)),
        "cost": money(view.cost),
        "where": where,
    }


def _differing(views: tuple[View, View]) -> list[tuple[str, str, str]]:
    """Return the settings that differ, with the values of both."""
    one, other = (told_settings(view) for view in views)
    return [
        (name, _said(one.get(name)), _said(other.get(name)))
        for name in dict.fromkeys((*one, *other))
        if one.get(name) != other.get(name)
    ]


def _said(value: Any) -> str:
    return "-" if value is None else str(value)
