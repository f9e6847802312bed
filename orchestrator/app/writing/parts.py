"""What is known of a draft as HTML: its rows, what the check found, machines, and the start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from orchestrator.app.shown.rehearsals import WORDS as OUTCOMES
from orchestrator.app.writing.thumbnails import thumbnail
from orchestrator.form.look import COMPARING, Look, Read
from orchestrator.form.preview import Cell, Picture, Preview
from orchestrator.form.starting import Offer, price
from orchestrator.form.wording import Told, in_words
from orchestrator.preflight import Compared
from orchestrator.preflight import Offer as Machine
from orchestrator.rehearsal.documents import Outcome, Report
from orchestrator.words import count, money, size
from worker.bars import Bars
from worker.duration import roughly
from worker.rendered import Part, Rendered
from worker.shorten import shortened

FIRST = 8
"""Machines that are shown before the others are folded."""

SHOWN = 40
"""Characters of an address that are shown."""

REHEARSE = (
    '<button type="button" data-rehearse title="Try it for a few steps on a Hub of this machine: '
    'free, in about a minute">Rehearse</button>'
)

_ADDRESS = re.compile(r"(https?://[^\s,]+[^\s,.:;])")
_MARKS = {"ok": "✓", "warn": "!", "error": "✗"}


def preview(found: Preview) -> str:
    """Return the first rows as a table."""
    if not found.columns:
        return ""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in found.columns)
    rows = "".join(
        f"<tr><th scope=row>{number}</th>{''.join(map(_cell, cells))}</tr>"
        for number, cells in found.rows
    )
    return (
        f"<h2>{escape(found.source)}: the first rows</h2>"
        '<div class="wide" tabindex="0"><table class="rows">'
        f"<thead><tr><th></th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(one: Cell) -> str:
    return f"<td>{thumbnail(one) if isinstance(one, Picture) else escape(one)}</td>"


def learned(look: Look) -> str:
    """Return an example as the model gets it, and how many examples there are of what kind."""
    data = look.report.data if look.report else None
    if data is None:
        return ""
    drawn = "".join(map(bars, data.bars))
    pictures = f'<div class="pictures">{drawn}</div>' if drawn else ""
    return f"{example(data.example) if data.example else ''}{pictures}"


def example(one: Rendered) -> str:
    """Return an example, what is learned of it marked."""
    note = f"<p class=small>{escape(one.note)}</p>" if one.note else ""
    return (
        f"<h2>{escape(one.where)}, as the model gets it; <mark>marked</mark> is what it learns</h2>"
        f'<pre class="example">{"".join(map(_piece, one.parts))}</pre>{note}'
    )


def _piece(one: Part) -> str:
    text = escape(one.text)
    text = f"<i>{text}</i>" if one.special else text
    return f"<mark>{text}</mark>" if one.learned else text


def bars(one: Bars) -> str:
    """Return counts as a figure of bars, which is a table to those who do not see it."""
    most = max((n for _, n in one.bars), default=0)
    if not most:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th>"
        f'<td><i style="width:{100 * n / most:.1f}%"></i></td><td>{n:,}</td></tr>'
        for name, n in one.bars
    )
    title = escape(one.title)
    return f'<figure class="bars"><figcaption>{title}</figcaption><table>{rows}</table></figure>'


def report(look: Look) -> str:
    """Return what the check found, with what to press where it can be mended so."""
    lines = "".join(map(_finding, look.findings))
    notes = "".join(f'<li class="warn"><b>!</b> {escape(n)}</li>' for n in look.draft.notes)
    other = "".join(f'<li class="error"><b>✗</b> {escape(o)}</li>' for o in look.read.other)
    where = "".join(
        f'<li class="error"><b>✗</b> {_to(name)} {escape(text)}</li>'
        for name, text in look.read.wrong.items()
    )
    found = f"{notes}{other}{where}{lines}"
    if not found and look.read.lacking:
        return '<p class="none">Once it lacks nothing, the job is checked here.</p>'
    return f'<ul class="findings">{found}</ul>' if found else ""


def _finding(one: Told) -> str:
    found = one.finding
    text = f"<b>{_MARKS[found.level]}</b> <span>{escape(found.topic)}</span> {_linked(found.text)}"
    if one.changes is not None:
        text += f' <button type="button" {_changing(one.changes)}>{escape(one.press)}</button>'
    elif one.field:
        text += f" {_to(one.field)}"
    instead = f" {'or ' * bool(one.changes)}{_linked(one.instead)}" if one.instead else ""
    return f'<li class="{found.level}">{text}{instead}</li>'


def _linked(text: str) -> str:
    """Return a text with its addresses as links, of which only the beginning is shown."""
    parts = _ADDRESS.split(text)
    return "".join(
        f'<a href="{escape(p)}" target="_blank" rel="noreferrer">{escape(shortened(p, SHOWN))}</a>'
        if place % 2
        else escape(p)
        for place, p in enumerate(parts)
    )


def _to(field: str) -> str:
    """Return a link to a field."""
    return f'<a href="#f-{escape(field)}">{escape(field.replace("_", " "))}</a>'


def _changing(changes: Mapping[str, Any]) -> str:
    return f'data-changes="{escape(json.dumps(changes))}"'


def machines(look: Look) -> str:
    """Return what the job takes on each machine, to choose from."""
    found = look.compared
    if found is None:
        said = "Once model and data are known, machines and prices stand here."
        said = "Comparing machines…" if look.busy == COMPARING else said
        return f'<p class="none">{said}</p>'
    told = {f.text for f in look.report.findings} if look.report else set()
    new = dict.fromkeys(in_words(f.text) for f in found.findings if f.text not in told)
    silent = "".join(f"<p class=small>{escape(text)}</p>" for text in new)
    if not found.offers:
        return silent
    chosen = _chosen(look)
    able = [o for o in found.offers if not o.why_not]
    first = [*able[:FIRST], *(o for o in able[FIRST:] if o.name == chosen)]
    rest = [o for o in found.offers if o not in first]
    more = ""
    if rest:
        summary = f"<summary>{count(len(rest), 'other machine')}</summary>"
        table = _table(rest, chosen, found)
        more = f"<details data-group=machines>{summary}{table}</details>"
    return f"{_table(first, chosen, found)}{more}{silent}"


def _chosen(look: Look) -> str:
    """Return the machine that the draft says, or that the check chose for it."""
    report = look.report
    if report is not None and report.ok and look.read.asked is not None:
        name, flavor = look.read.asked.backend.name, report.flavor.name
        return name if flavor == name else f"{name}-{flavor}"
    return str(look.draft.values.get("backend", "local"))


def _table(offers: Iterable[Machine], chosen: str, found: Compared) -> str:
    best = found.recommended
    rows = "".join(_machine(o, chosen, cheapest=o is best) for o in offers)
    head = "".join(
        f"<th scope=col>{title}</th>"
        for title in ("machine", "cost", "at most", "time", "memory", "of", "")
    )
    return (
        '<div class="wide" tabindex="0"><table class="machines"><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _machine(offer: Machine, chosen: str, *, cheapest: bool) -> str:
    choice, name = offer.choice, escape(offer.name)
    estimate, paid = choice.estimate, choice.flavor.usd_per_hour
    on = " checked" if offer.name == chosen else ""
    off = " disabled" if offer.why_not else ""
    said = offer.why_not or ("" if choice.safe else "may not fit")
    said = said or ("the cheapest that fits" if cheapest else "")
    cells = (
        money(estimate.usd.expected) if paid else "free",
        money(estimate.usd_at_most) if paid else "free",
        roughly(estimate.minutes.expected * 60) if estimate.known else "not known",
        size(choice.footprint.expected),
        size(choice.capacity),
        escape(said),
    )
    return (
        f'<tr><td><label><input type="radio" name="machine"{on}{off} '
        f"{_changing({'backend': offer.name})}> {name}</label></td>"
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """The rehearsal of what is written."""

    may: bool = False
    """Whether it can be rehearsed as it stands."""

    report: Report | None = None
    """That of the rehearsal that was started on this page."""

    wrong: str = ""
    """Why none was started."""

    @property
    def runs(self) -> bool:
        return self.report is not None and self.report.outcome is Outcome.RUNNING


def bar(look: Look, offer: Offer | None, trial: Trial) -> str:
    """Return the answer: what is still to be mended, what it would cost, or how it starts."""
    return f"{_start(look, offer, trial)}{_rehearsal(trial)}"


def _rehearsal(trial: Trial) -> str:
    """Return how the rehearsal goes, with the way to its report."""
    wrong = f'<p class="error rehearsal">{escape(trial.wrong)}</p>' if trial.wrong else ""
    if (one := trial.report) is None:
        return wrong
    how = (
        f"Rehearsing: {one.doing}…"
        if trial.runs
        else f"Rehearsed: {OUTCOMES[one.outcome].lower()}."
    )
    link = f'<a href="/rehearsals?id={escape(one.rehearsal)}" target="_blank">Its report</a>'
    return f'{wrong}<p class="small rehearsal" role="status">{escape(how)} {link}</p>'


def _start(look: Look, offer: Offer | None, trial: Trial) -> str:
    if offer is not None and offer.begun:
        return _starting(offer)
    if offer is not None:
        return (
            f"<p><b>{escape(price(offer.checked))}?</b></p>"
            f'<button type="button" class="go" data-start="{escape(offer.name)}">Yes, start'
            '</button><button type="button" data-keep>Not yet</button>'
        )
    if look.read.at or look.read.other:
        return f"<p>{_to_mend(look.read)}{_needed(look.read)}</p>"
    if look.checked is None:
        return "<p>Checking…</p>"
    if look.ready is None:
        errors = sum(f.finding.level == "error" for f in look.findings)
        return f'<p class="error">{count(errors, "thing")} to mend. Nothing was created.</p>'
    return (
        f"<p>Ready. {escape(price(look.ready))}</p>"
        '<button type="button" class="go" data-offer>Start…</button>'
        + (REHEARSE if trial.may and not trial.runs else "")
    )


def _to_mend(read: Read) -> str:
    wrong = len(read.wrong) + len(read.other)
    return f'<span class="error">{count(wrong, "thing")} to mend.</span> ' if wrong else ""


def _needed(read: Read) -> str:
    """Return the fields that have to be filled in still, each with the way there."""
    links = [_to(name) for name in read.at if name in read.lacking]
    return f"Still needed: {', '.join(links)}." if links else ""


def _starting(offer: Offer) -> str:
    if offer.wrong:
        back = '<button type="button" data-keep>Back</button>'
        return f'<p class="error">{escape(offer.wrong)}</p>{back}'
    if offer.job_id:
        there = "It was there already" if offer.existed else "Started"
        return f"<p><b>{there} as {escape(offer.job_id)}.</b></p>"
    share = offer.share
    width = f' style="width:{100 * share:.0f}%"' if share is not None else ""
    told = f' aria-valuenow="{100 * share:.0f}"' if share is not None else ""
    return (
        f'<p role="status">{escape(offer.doing)}…</p><div class="bar" role="progressbar" '
        f'aria-label="{escape(offer.doing)}"{told}><i{width}></i></div>'
    )
