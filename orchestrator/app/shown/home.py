"""The first page as HTML: what costs now, what the month has cost, and the jobs, newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from orchestrator.jobs.glance import Glance
from orchestrator.words import ago, count, money
from worker.contract import State
from worker.duration import roughly
from worker.show.chart import spark
from worker.show.view import WORDS

if TYPE_CHECKING:
    from orchestrator.app.board import Seen
    from orchestrator.deploy.known import Known

ROWS = 50
"""Jobs on one page of the list."""

ANY = ""
OPEN = "open"
"""Stands among the states for all that have not ended, or still cost."""

Curve = Callable[[Glance], Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the jobs is to be shown; empty fields want all."""

    search: str = ""
    state: str = ANY
    task: str = ANY
    place: str = ANY
    first: int = 0
    """How many newer ones are left out."""


def chosen(jobs: Iterable[Glance], wanted: Wanted) -> list[Glance]:
    """Return the jobs that are wanted, newest first."""
    words = wanted.search.casefold().split()
    return [
        job
        for job in jobs
        if wanted.task in {ANY, job.kind}
        and wanted.place in {ANY, job.backend}
        and (
            wanted.state in {ANY, job.state}
            or (wanted.state == OPEN and not (job.final and not job.costing))
        )
        and all(word in _text(job) for word in words)
    ]


def _text(job: Glance) -> str:
    parts = (job.project, job.job_id, job.kind, where(job), job.sweep, job.reason, job.handle)
    return " ".join(filter(None, parts)).casefold()


def choices(jobs: Iterable[Glance]) -> dict[str, list[tuple[str, str]]]:
    """Return what can be chosen of states, tasks and places: words for people, and the value."""
    jobs = list(jobs)
    states = [(WORDS[s], str(s)) for s in State if any(job.state == s for job in jobs)]
    kinds, places = sorted({job.kind for job in jobs}), sorted({job.backend for job in jobs})
    return {
        "state": [("All states", ANY), ("Not over", OPEN), *states],
        "task": [("All tasks", ANY), *((kind, kind) for kind in kinds)],
        "place": [("All places", ANY), *((place, place) for place in places)],
    }


def top(seen: Seen) -> str:
    """Return what costs now, each with its stop; what the month has cost; and what is told."""
    costing = [job for job in seen.jobs if job.costing and job.usd_per_hour]
    deployed = [one for one in seen.deployed if one.costs]
    prices = [*(j.usd_per_hour for j in costing), *(d.record.usd_per_hour for d in deployed)]
    rows = [_costs(job, seen.now) for job in costing] + [_deployed_costs(one) for one in deployed]
    total = f"{money(sum(prices))}/h now" if prices else "Nothing costs now"
    listed = f'<ul class="costing">{"".join(rows)}</ul>' if rows else ""
    kind = "costs" if prices else "free"
    return (
        f'<section class="answer {kind}"><h1 class="state">{total}</h1>{listed}'
        f"{_month(seen)}{_notes(seen)}</section>"
    )


def _month(seen: Seen) -> str:
    spent, most = seen.month, seen.budget
    words = f"{money(spent.spent)} in {spent.name}"
    if most is not None:
        words += f" of at most {money(most)}"
    if spent.pending:
        words += f", and up to {money(spent.pending)} more by what runs"
    if spent.unbounded:
        words += f"; {count(len(spent.unbounded), 'running job')} without a limit"
    return f'<p class="small">{words}</p>'


def _notes(seen: Seen) -> str:
    told = [
        f'<p class="{"wrong" if note.wrong else "note"}" role="status">{escape(note.text)}</p>'
        for note in seen.notes
    ]
    told += [f'<p class="small">Not asked: {escape(why)}</p>' for why in seen.unanswered]
    return "".join(told)


def _costs(job: Glance, now: datetime) -> str:
    over = "<b>although it has ended</b> " if job.final else ""
    price = f"{money(job.usd_per_hour)}/h, {money(job.usd(job.known_at(now)))} so far"
    return f"<li>{_link(job)} on {escape(where(job))}: {over}{price} {_stop(job)}</li>"


def _deployed_costs(one: Known) -> str:
    handle = str(one.record.handle)
    price = f"{money(one.record.usd_per_hour)}/h"
    return f"<li>{escape(handle)}, a deployed model: {price} {_pause(handle)}</li>"


def deployed(seen: Seen) -> str:
    """Return the deployed models, how they are and what they cost; empty for none."""
    if not seen.deployed:
        return ""
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in one.row)}"
        f"<td>{_pause(str(one.record.handle)) if one.costs else ''}</td></tr>"
        for one in seen.deployed
    )
    heads = "".join(f"<th>{name}</th>" for name in ("Deployed", "Model", "On", "State", "Price"))
    return (
        f'<h2>Deployed models</h2><table class="jobs"><thead><tr>{heads}<th></th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


_HEADS = (
    ("Job", ""),
    ("State", ""),
    ("Progress", ""),
    ("Loss", "wide"),
    ("Task", "wide"),
    ("Where", "wide"),
    ("Cost", ""),
    ("", ""),
)


def table(jobs: Sequence[Glance], wanted: Wanted, curve: Curve, now: datetime) -> str:
    """Return a page of the jobs that are wanted, which are `jobs`."""
    if not jobs:
        return '<p class="none">No job like that.</p>' if wanted != Wanted() else _no_jobs()
    resumed = {earlier for job in jobs for earlier in job.resumes}
    page = jobs[wanted.first : wanted.first + ROWS]
    rows = "".join(
        _row(job, curve, now, resumable=job.resumable and job.job_id not in resumed) for job in page
    )
    heads = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in _HEADS)
    return (
        f'<table class="jobs" role="table"><caption class="small">'
        f"{_caption(len(jobs), wanted, len(page))}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _caption(many: int, wanted: Wanted, shown: int) -> str:
    if many <= ROWS:
        return count(many, "job")
    return f"Jobs {wanted.first + 1:,} to {wanted.first + shown:,} of {many:,}, newest first"


def _no_jobs() -> str:
    return (
        '<p>No jobs yet. <a href="/new">Write the first one</a>: it may begin with a sample of'
        " data, and trains here, or on a machine that is rented for it.</p>"
    )


def _row(job: Glance, curve: Curve, now: datetime, *, resumable: bool) -> str:
    under = f"{job.kind} · {where(job)}"
    cells = (
        (
            "",
            f'{_link(job)}<small class="id">{escape(job.job_id)}</small>'
            f'<small class="narrow">{escape(under)}</small>',
        ),
        ("state", _state(job, now, resumable=resumable)),
        ("", _progress(job)),
        ("wide", _loss(job, curve)),
        ("wide", escape(job.kind)),
        ("wide", escape(where(job))),
        ("money", money(job.usd(job.known_at(now))) if job.usd_per_hour else "free"),
        ("", "" if job.settled else _stop(job)),
    )
    inner = "".join(f'<td role="cell" class="{kind}">{said}</td>' for kind, said in cells)
    return f'<tr role="row" class="{job.state}">{inner}</tr>'


def _state(job: Glance, now: datetime, *, resumable: bool) -> str:
    words = WORDS[State(job.state)]
    if job.cancelling and not job.final:
        words = "Stopping"
    more = [escape(job.reason)] if job.reason not in {None, "ok", "user"} else []
    if job.final:
        more += [ago(job.ended_at, now)] if job.ended_at else []
        more += ["resumable"] if resumable else []
    elif since := job.started_at or job.created_at:
        more.append(roughly(max(0.0, (job.known_at(now) - since).total_seconds())))
    return f"<b>{words}</b><small>{' · '.join(more)}</small>"


def _progress(job: Glance) -> str:
    if job.step is None:
        return ""
    most = max(job.total_steps or 0, 1)
    said = f"{job.step:,} of {job.total_steps or 0:,}"
    share = min(job.step / most, 1.0)
    return (
        f'<div class="bar" role="progressbar" aria-label="steps" aria-valuenow="{job.step}"'
        f' aria-valuemax="{most}"><i style="width:{share:.0%}"></i></div><small>{said}</small>'
    )


def _loss(job: Glance, curve: Curve) -> str:
    points = curve(job)
    value = "" if job.value is None else f"{job.value:.3g}"
    named = value if job.watched in {None, "loss"} else f"{job.watched} {value}"
    said = f"loss from {points[0][1]:.3g} to {points[-1][1]:.3g}" if points else ""
    return f"{spark(points, said)}<small>{escape(named)}</small>"


def where(job: Glance) -> str:
    """Return where a job runs: `spaces a10g-small`."""
    plain = job.flavor in {None, job.backend}
    return job.backend if plain else f"{job.backend} {job.flavor}"


def _link(job: Glance) -> str:
    return f'<a href="/job?id={escape(job.job_id)}">{escape(job.project)}</a>'


def _stop(job: Glance) -> str:
    named = escape(job.project)
    return (
        f'<button class="stop" data-act="stop" data-what="{escape(job.job_id)}"'
        f' aria-label="Stop {named}…">Stop…</button>'
    )


def _pause(handle: str) -> str:
    return (
        f'<button class="stop" data-act="pause" data-what="{escape(handle)}"'
        f' aria-label="Stop {escape(handle)}…">Stop…</button>'
    )
