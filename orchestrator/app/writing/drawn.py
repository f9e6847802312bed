"""The fields of a draft as HTML: each with its name, its meaning, and room for what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from orchestrator.form.fields import Field, Form
from orchestrator.words import size

SAMPLE = (
    '<p class="small">None at hand? <button type="button" data-sample>Take a sample</button></p>'
)


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to choose from."""

    columns: tuple[str, ...] = ()
    """Columns of the data; none while they are not known."""

    places: tuple[str, ...] = ()
    """Where jobs can run."""

    accounts: tuple[str, ...] = ()
    """The user's own name on the Hub and those of their organisations; none while unknown."""

    upload_bytes: int | None = None
    """What all uploads of this user may take; none where there is no bound."""

    sample: bool = False
    """Whether a sample of data is offered to whoever has none."""


def source(one: Form, known: Known) -> str:
    """Return the fields of the job's name and of its data."""
    parts = [
        _row(one.job[:1], known),
        _part("Data", _data(one.data, known)),
        _part("Columns", _row(one.columns, known)),
    ]
    return "".join(parts)


def form(one: Form, known: Known) -> str:
    """Return the fields of how it trains, and where."""
    parts = [
        _part("Model", _row(one.model, known)),
        _part("Settings", _row(one.few, known)),
        _folded(one, known),
        _part("Where it runs", _row(one.job[1:], known)),
    ]
    return "".join(parts)


def _part(title: str, inside: str) -> str:
    return f"<fieldset><legend>{title}</legend>{inside}</fieldset>" if inside else ""


def _data(fields: Sequence[Field], known: Known) -> str:
    if not fields:
        return ""
    first, *others = fields
    bound = known.upload_bytes
    most = f" All of yours together: {size(bound)} at most." if bound else ""
    bounded = f' data-most="{bound}" data-room="{size(bound)}"' if bound else ""
    upload = (
        '<div class="field upload"><label for="files">upload</label>'
        f'<input id="files" type="file" multiple aria-describedby="m-files"{bounded}>'
        '<p class="meaning" id="m-files">CSV, JSONL, Parquet, Excel or zip; several files of one '
        f'kind are read as one.{most}</p><p class="wrong" id="e-files" role="alert"></p>'
        f"{SAMPLE if known.sample else ''}</div>"
    )
    return f'<div class="fields">{upload}{field(first, known)}</div>{_row(others, known)}'


def _folded(one: Form, known: Known) -> str:
    """Return the other settings, each group to be opened by itself."""
    groups = "".join(
        f'<details data-group="{escape(group.name)}"><summary>{escape(group.name)} '
        f"<small>{_said(group.fields)}</small></summary>{_row(group.fields, known)}</details>"
        for group in one.more
    )
    return f'<section class="more"><h2>All other settings</h2>{groups}</section>'


def _said(fields: Iterable[Field]) -> str:
    return ", ".join(f"{escape(one.label)} {escape(one.text)}" for one in fields if one.is_said)


def _row(fields: Iterable[Field], known: Known) -> str:
    inside = "".join(field(one, known) for one in fields)
    return f'<div class="fields">{inside}</div>' if inside else ""


def field(one: Field, known: Known) -> str:
    """Return one field: a switch, a choice, or a line to type in."""
    name = escape(one.name)
    meaning = escape(one.meaning)
    bounds = f" <small>{escape(one.bounds)}</small>" if one.bounds else ""
    needed = ' <small class="needed">needed</small>' if one.required else ""
    label = f'<label for="f-{name}" title="{escape(one.flag)}">{escape(one.label)}{needed}</label>'
    control = _control(one, known)
    shown = f"{control}{label}" if one.kind == "switch" else f"{label}{control}"
    return (
        f'<div class="field {one.kind}" data-field="{name}">{shown}'
        f'<p class="meaning" id="m-{name}">{meaning}{bounds}</p>'
        f'<p class="wrong" id="e-{name}" role="alert"></p></div>'
    )


def _control(one: Field, known: Known) -> str:
    name = escape(one.name)
    common = f'id="f-{name}" name="{name}" aria-describedby="m-{name} e-{name}"'
    if one.kind == "switch":
        said = " data-said" if one.is_said else ""
        return f'<input type="checkbox" {common}{said}{" checked" if one.on else ""}>'
    options = _options(one, known)
    if options and one.kind in {"choice", "column"}:
        return f"<select {common}>{_choice(one, options)}</select>"
    listed = _datalist(one, options)
    hint = one.default or ("" if one.required else "none")
    mode = ' inputmode="decimal"' if one.kind == "number" else ""
    return (
        f'<input type="text" {common} value="{escape(one.text)}" placeholder="{escape(hint)}"'
        f' autocomplete="off" spellcheck="false"{mode} list="l-{name}">{listed}'
    )


def _options(one: Field, known: Known) -> tuple[str, ...]:
    """Return what can be chosen or is suggested; nothing where anything can be typed."""
    if one.kind in {"column", "columns"}:
        return known.columns
    given = {"backend": known.places, "username": known.accounts}
    return one.choices or given.get(one.name, ())


def _choice(one: Field, options: Sequence[str]) -> str:
    """Return the options of a choice: the default first, then all, the one that is said marked."""
    default = f"{one.default or 'none'} (default)"
    if one.kind == "column" and one.default and one.default not in options:
        default = "found by its name"
    there = [*options, *([one.text] if one.text and one.text not in options else [])]
    lines = [f'<option value="">{escape(default)}</option>']
    lines += [
        f'<option value="{escape(o)}"{" selected" if o == one.text else ""}>{escape(o)}</option>'
        for o in there
    ]
    return "".join(lines)


def _datalist(one: Field, options: Sequence[str]) -> str:
    inside = "".join(f'<option value="{escape(o)}"></option>' for o in options)
    return f'<datalist id="l-{escape(one.name)}">{inside}</datalist>'
