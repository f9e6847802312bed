"""Rehearsals as HTML: how one went, what it has shown and could not show, and all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from pydantic import TypeAdapter

from orchestrator.app.shown.table import table_of
from orchestrator.preflight.offering import Offer
from orchestrator.rehearsal.documents import Outcome, Report, Shown
from orchestrator.words import ago, count, money, size
from worker.contract import Event, JobSpec
from worker.duration import duration, roughly
from worker.show.digest import Digest
from worker.show.view import View, curves

WORDS = {
    Outcome.RUNNING: "Rehearsing",
    Outcome.SUCCEEDED: "It works",
    Outcome.FAILED: "It failed",
    Outcome.REFUSED: "It could not begin",
    Outcome.STOPPED: "Stopped",
    Outcome.LOST: "Lost",
}
"""What people read for an outcome."""

_STATES = {
    Outcome.REFUSED: "failed",
    Outcome.STOPPED: "cancelled",
}
"""Outcomes by the class of the colour that they have, where it is not called as they are."""

FIRST = 6
"""Machines that are shown before the others are folded."""

_EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])


def report(one: Report, now: datetime) -> str:
    """Return one rehearsal, the answer first."""
    return "".join(
        (
            _answer(one, now),
            _list("Shown to work", "ok", "✓", one.proved),
            _list("Not shown", "warn", "!", one.not_proved),
            _course(one),
            _curves(one, now),
            _machines(one),
            _found(one),
            _settings(one),
        )
    )


def none(name: str, every: Sequence[Report]) -> str:
    """Return what is said in the place of a report."""
    if name:
        return f"<h1>No such report</h1><p>No rehearsal {escape(name)} is kept.</p>"
    if every:
        return ""
    return (
        "<h1>No rehearsals yet</h1><p>A job that rents a machine can be tried before it costs:"
        ' <i>Rehearse</i> at <a href="/new">a new job</a>, or <code>hubtrain rehearse TASK</code>'
        " with its settings.</p>"
    )


def table(every: Sequence[Report], here: Report | None, now: datetime) -> str:
    """Return all rehearsals, the newest first."""
    others = [one for one in every if here is None or one.rehearsal != here.rehearsal]
    if not others:
        return ""
    title = "<h2>Other rehearsals</h2>" if here else "<h1>Rehearsals</h1>"
    heads = ("Project", "Outcome", "For", "Took", "When")
    return title + table_of(heads, (_row(one, now) for one in others))


def _row(one: Report, now: datetime) -> str:
    link = f'<a href="/rehearsals?id={escape(one.rehearsal)}">{escape(one.project)}</a>'
    cells = (
        f"<td>{link}<small>{escape(one.task.replace('_', ' '))}</small></td>",
        f'<td class="state"><b>{WORDS[one.outcome]}</b></td>',
        f"<td>{escape(one.backend)}</td>",
        f"<td>{roughly(_seconds(one, now))}</td>",
        f"<td>{ago(one.began_at, now)}</td>",
    )
    return f'<tr class="{_state(one)}">{"".join(cells)}</tr>'


def _state(one: Report) -> str:
    return _STATES.get(one.outcome, str(one.outcome))


def _seconds(one: Report, now: datetime) -> float:
    return max(0.0, ((one.ended_at or now) - one.began_at).total_seconds())


def _answer(one: Report, now: datetime) -> str:
    runs = one.outcome is Outcome.RUNNING
    took = f"<span>{' for ' if runs else ' after '}{roughly(_seconds(one, now))}</span>"
    took = "" if one.outcome is Outcome.LOST else took
    parts = [
        f"<h1>{escape(one.project)} <small>rehearsal {escape(one.rehearsal)}</small></h1>",
        f'<p class="state">{WORDS[one.outcome]}{took}</p>',
    ]
    if one.error:
        fix = f" <b>{escape(one.fix)}</b>" if one.fix else ""
        parts.append(f"<p>{escape(one.error)}{fix}</p>")
    if one.detail:
        said = f"<summary>Last words</summary><pre>{escape(one.detail)}</pre>"
        parts.append(f"<details open>{said}</details>")
    if runs:
        parts.append(f'<p role="status">{escape(one.doing or "checking").capitalize()}…</p>')
        stop = f'data-act="stop" data-what="{escape(one.rehearsal)}"'
        parts.append(
            f'<div class="controls"><button class="stop" {stop}>Stop the rehearsal…</button></div>'
        )
    elif one.outcome is Outcome.SUCCEEDED:
        parts.append(
            "<p>The job can be launched. Nothing was rented, and nothing is left of it.</p>"
        )
    steps = f"{count(one.steps, 'step')}, " if one.steps else ""
    about = (
        f"{escape(one.task.replace('_', ' '))} for {escape(one.backend)}: {steps}on this machine"
    )
    parts.append(f'<p class="small">{about}</p>')
    return f'<section class="answer {_state(one)}">{"".join(parts)}</section>'


def _list(title: str, level: str, mark: str, found: Iterable[Shown]) -> str:
    lines = "".join(
        f'<li class="{level}"><b>{mark}</b> <span>{escape(f.topic)}</span> {escape(f.text)}</li>'
        for f in found
    )
    return f'<h2>{title}</h2><ul class="findings">{lines}</ul>' if lines else ""


def _course(one: Report) -> str:
    """Return what it did, each with its time, and a bar for its share of the whole."""
    if not one.took:
        return ""
    most = max(took.seconds for took in one.took) or 1.0
    rows = "".join(
        f"<tr><th scope=row>{escape(took.what)}</th>"
        f'<td><div class="bar" aria-hidden="true"><i style="width:{took.seconds / most:.0%}"></i>'
        f"</div></td><td>{duration(took.seconds)}</td></tr>"
        for took in one.took
    )
    return f'<h2>What it did</h2><table class="course">{rows}</table>'


def _curves(one: Report, now: datetime) -> str:
    """Return what was measured, as the page of a job shows it."""
    try:
        events = _EVENTS.validate_python(list(one.events))
        view = View.of(JobSpec.model_validate(one.spec or {}), Digest().of(events), now)
    except ValueError:  # there is no job yet, or another version wrote it
        return ""
    return curves(view) if any("loss" in m.values for m in view.story.history) else ""


def _machines(one: Report) -> str:
    """Return what the whole job would take everywhere, and what it took here of memory."""
    held = one.memory_bytes
    here = (
        f'<p class="small">Here, {_stood_in(one)}, the worker and its trainer held {size(held)}'
        " of main memory at most.</p>"
        if held
        else ""
    )
    found = one.offers
    if found is None:
        return f"<h2>Memory</h2>{here}" if here else ""
    able = [offer for offer in found.offers if offer.fits]
    own = [offer for offer in able if offer.backend == one.backend]
    first = [*own, *(o for o in able if o not in own)][:FIRST]
    rest = [offer for offer in found.offers if offer not in first]
    more = (
        f"<details><summary>{count(len(rest), 'other machine')}</summary>"
        f"{_offers(rest, one, found.recommended)}</details>"
        if rest
        else ""
    )
    title = "<h2>What the whole job would take</h2>"
    return f"{title}{_offers(first, one, found.recommended)}{more}{here}"


def _stood_in(one: Report) -> str:
    """Return what this machine trained, in words."""
    lent = any(shown.topic == "model" for shown in one.not_proved)
    return "with a small model in its place" if lent else "with its own model"


def _offers(offers: Iterable[Offer], one: Report, best: str | None) -> str:
    names = ("Machine", "Cost", "At most", "Time", "Memory", "Of", "")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(_offer(offer, one, best) for offer in offers)
    return (
        f'<div class="wide" tabindex="0"><table class="machines"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _offer(offer: Offer, one: Report, best: str | None) -> str:
    said = [
        *(["rehearsed"] if offer.backend == one.backend else []),
        *(["the cheapest that fits"] if offer.backend == best else []),
        *([offer.why_not] if offer.why_not else [] if offer.safe else ["may not fit"]),
    ]
    paid = bool(offer.usd_per_hour)
    cells = (
        offer.backend,
        money(offer.usd.expected) if paid else "free",
        money(offer.usd_at_most) if paid else "free",
        roughly(offer.minutes.expected * 60) if offer.known else "not known",
        size(offer.memory_bytes),
        size(offer.memory_there),
        ", ".join(said),
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _found(one: Report) -> str:
    marks = {"ok": "✓", "warn": "!", "error": "✗"}
    lines = "".join(
        f'<li class="{f.level}"><b>{marks[f.level]}</b> <span>{escape(f.topic)}</span> '
        f"{escape(f.text)} {escape(f.fix)}</li>"
        for f in one.found
    )
    if not lines:
        return ""
    body = f'<ul class="findings">{lines}</ul>'
    return f"<details><summary>What the check found</summary>{body}</details>"


def _settings(one: Report) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in one.settings.items()
        if value is not None
    )
    if not rows:
        return ""
    body = f'<table class="settings">{rows}</table>'
    return f"<details><summary>Settings</summary>{body}</details>"
