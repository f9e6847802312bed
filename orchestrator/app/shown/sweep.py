"""A sweep as HTML: the best trial first, what each measured as a picture, and all in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from itertools import accumulate

from orchestrator.app.shown.table import table_of
from orchestrator.sweep.space import shown
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.trial import Trial, best_of, rank
from orchestrator.words import count, money
from worker.duration import roughly
from worker.show.chart import Line, chart
from worker.show.view import WORDS


def sweep(spec: SweepSpec, trials: Sequence[Trial], now: datetime) -> str:
    """Return a sweep with the trials that have jobs."""
    return f"{_answer(spec, trials, now)}{_picture(spec, trials)}{_table(spec, trials, now)}"


def _answer(spec: SweepSpec, trials: Sequence[Trial], now: datetime) -> str:
    best, name = best_of(trials, spec.measure), spec.measure.name
    over = sum(trial.over for trial in trials)
    said = (
        f"Best: t{best.number}, {name} {best.value(spec.measure):.4g}" if best else "No model yet"
    )
    spent = sum(trial.usd(now) for trial in trials)
    cap = f" of at most {money(spec.max_usd)}" if spec.max_usd is not None else ""
    tried = " · ".join(map(str, spec.space))
    where = best.model if best else None
    model = f'<p class="model">Model: <code>{escape(where)}</code></p>' if where else ""
    about = f"{escape(tried)}; {name}, the {spec.measure.better} the better"
    return (
        f'<section class="answer {"succeeded" if best else ""}">'
        f'<h1>{escape(spec.name)} <small>sweep</small></h1><p class="state">{said}</p>{model}'
        f"<p>{over} of {count(len(trials), 'trial')} done, {money(spent)}{cap}</p>"
        f'<p class="small">{about}</p></section>'
    )


def _picture(spec: SweepSpec, trials: Sequence[Trial]) -> str:
    """Return what the trials measured, by number, and the best so far."""
    points = [(float(t.number), v) for t in trials if (v := t.value(spec.measure)) is not None]
    if not points:
        return ""
    better = max if spec.measure.better == "higher" else min
    best = list(accumulate((value for _, value in points), better))
    so_far = [(number, value) for (number, _), value in zip(points, best, strict=True)]
    lines = [Line("a trial", points), Line("the best so far", so_far)]
    return f'<section class="curves">{chart(spec.measure.name, lines)}</section>'


def _table(spec: SweepSpec, trials: Sequence[Trial], now: datetime) -> str:
    tried = [one.setting for one in spec.space]
    names = ("Trial", *tried, spec.measure.name, "State", "Time", "Cost")
    best_first = sorted(trials, key=lambda trial: rank(trial, spec.measure))
    return table_of(names, (_row(spec, trial, now) for trial in best_first))


def _row(spec: SweepSpec, trial: Trial, now: datetime) -> str:
    record, value = trial.record, trial.value(spec.measure)
    if record is None:
        return ""
    story = record.story
    link = f'<a href="/job?id={escape(record.job_id)}">t{trial.number}</a>'
    cells = (
        link,
        *(escape(shown(trial.settings[one.setting])) for one in spec.space),
        "-" if value is None else f"{value:.4g}",
        WORDS[story.state],
        roughly(story.seconds(now)) if story.started_at else "-",
        money(trial.usd(now)) if record.spec.machine.usd_per_hour else "free",
    )
    return f'<tr class="{story.state}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
