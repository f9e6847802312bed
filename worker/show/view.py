"""The parts of a job's page as HTML, made from its spec and events alone.

It needs no gradio and no server, so the live page and the last page show the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import worker.tasks
from worker.contract import VALID, EndReason, Event, JobSpec, Progress, State, Story, fold
from worker.duration import roughly
from worker.money import money
from worker.samples import Samples
from worker.show.chart import Line, chart
from worker.show.usage import Usage

WORDS = {
    State.CREATED: "Starting",
    State.QUEUED: "Starting",
    State.RUNNING: "Running",
    State.SUCCEEDED: "Succeeded",
    State.FAILED: "Failed",
    State.CANCELLED: "Stopped",
    State.LOST: "Lost",
}
"""What people read for a state."""

_GIB = 2**30

MOST_CURVES = 24
"""Most curves beside the telling ones: each is a picture that a browser holds."""


@dataclass(frozen=True, slots=True)
class View:
    """A job at one moment."""

    spec: JobSpec
    story: Story
    speeds: list[tuple[float, float]]
    """Tokens, or what else the task counts, per second, by step."""

    now: datetime
    usage: Usage | None = None
    waiting: str = ""
    samples: Samples | None = None
    """What the model said to a few prompts; none where it was not asked."""

    telling: tuple[str, ...] = ()
    """What tells how good the model is, the most telling first, without `valid_`."""

    @classmethod
    def of(
        cls,
        spec: JobSpec,
        events: list[Event],
        now: datetime,
        usage: Usage | None = None,
        waiting: str = "",
        *,
        samples: Samples | None = None,
    ) -> View:
        """Return what `events` show at the time `now`."""
        task, params = worker.tasks.asked(spec)
        names = dict.fromkeys(m.name.removeprefix(VALID) for m in task.measures(params))
        story, speeds = fold(events), list(_speeds(events))
        return cls(spec, story, speeds, now, usage, waiting, samples, tuple(names))

    @property
    def cost(self) -> float:
        """What the machine has cost so far, in US dollars."""
        return self.story.cost(self.spec.machine.usd_per_hour, self.now)


def answer(view: View) -> str:
    """Return the first thing to read: how it goes, how far it is, what it cost."""
    story = view.story
    state, took = _state(view)
    rows = [
        f"<h1>{escape(view.spec.project)} <small>job {escape(view.spec.job_id)}</small></h1>",
        f'<p class="state">{escape(state)}{f"<span>{took}</span>" if took else ""}</p>',
        _bar(view),
        _message(view),
        _facts(view),
    ]
    title = escape(_title(view))
    return f'<section class="answer {story.state}" data-title="{title}">{"".join(rows)}</section>'


def _title(view: View) -> str:
    """Return what the tab of a job's page is called: how it is, in front of its name."""
    story, progress = view.story, view.story.progress
    how = WORDS[story.state]
    if story.state is State.RUNNING and progress and progress.total_steps:
        how = f"{min(progress.step / progress.total_steps, 1.0):.0%}"
    return f"{how} · {view.spec.project}"


def in_words(view: View) -> list[str]:
    """Return what `answer` says as lines of text, in which the job's own words are as they are."""
    story = view.story
    facts = [f"{name.lower()} {said}" for name, said in _told(view)]
    lines = [" · ".join(["".join(_state(view)), *facts]), *story.message.splitlines()]
    lines += story.detail.splitlines()
    if made := story.pushed.url if story.pushed else story.output:
        lines.append(f"{_made(view)}: {made}")
    return lines


def _state(view: View) -> tuple[str, str]:
    """Return a job's state with its reason, and how long it took or takes; empty before it runs."""
    story = view.story
    state = WORDS[story.state]
    if story.state.final and story.reason not in {None, EndReason.OK}:
        state += f" ({story.reason})"
    if not story.started_at:
        return state, ""
    joined = "in" if story.state is State.SUCCEEDED else "after" if story.state.final else "for"
    return state, f" {joined} {roughly(story.seconds(view.now))}"


def curves(view: View) -> str:
    """Return loss, what tells most, learning rate and speed over steps, as small pictures."""
    progress = view.story.progress
    unit = progress.unit if progress else "steps"

    telling = [name for name in _measured(view) if name in view.telling]
    figures = [
        *((_words(name), _both(view, name)) for name in ("loss", *telling)),
        ("Learning rate", [_line(view, "lr", "")]),
        (f"{unit.capitalize()} per second", [Line("", view.speeds)]),
    ]
    if view.story.state.final:  # what was not measured will not be
        figures = [(title, lines) for title, lines in figures if any(one.points for one in lines)]
    charts = "".join(chart(title, lines) for title, lines in figures)
    return f'<section class="curves">{charts}</section>' if charts else ""


def more_curves(view: View) -> str:
    """Return whatever else is measured more than once; empty where nothing is."""
    rest = [name for name in _measured(view) if name not in view.telling]
    charts = "".join(_drawn(view, name) for name in rest[:MOST_CURVES])
    return f'<section class="more curves">{charts}</section>' if charts else ""


def _measured(view: View) -> list[str]:
    """Return what is measured often enough for a curve, each once, beside loss and rate."""
    counts = Counter(name for metric in view.story.history for name in metric.values)
    often = {name.removeprefix(VALID) for name, count in counts.items() if count > 1}
    order = {name: place for place, name in enumerate(view.telling)}
    return sorted(often - {"loss", "lr"}, key=lambda name: (order.get(name, len(order)), name))


def _drawn(view: View, name: str) -> str:
    """Return a measurement's curves over training and validation."""
    return chart(_words(name), _both(view, name))


def _both(view: View, name: str) -> list[Line]:
    return [_line(view, name, "training"), _line(view, f"{VALID}{name}", "validation")]


def laid_over(views: Sequence[tuple[str, View]]) -> str:
    """Return the curves of several jobs, each under its name, in the same charts.

    A measurement of one of them alone is drawn too. The curve of a validation follows that of its
    training, so that one style sheet can pair them.
    """
    names = dict.fromkeys(name for _, view in views for name in ("loss", *_measured(view)))
    charts = []
    for name in list(names)[:MOST_CURVES]:
        lines = [
            line
            for label, view in views
            for line in (
                _line(view, name, label),
                _line(view, f"{VALID}{name}", f"{label}, validation"),
            )
        ]
        charts.append(chart(_words(name), lines, numbered=True))
    return f'<section class="curves">{"".join(charts)}</section>'


def _line(view: View, name: str, label: str) -> Line:
    history = view.story.history
    return Line(label, [(float(m.step), m.values[name]) for m in history if name in m.values])


def _words(name: str) -> str:
    """Return a measurement's name as a title: `valid_f1_macro` is `Validation f1 macro`."""
    plain = name.removeprefix(VALID).replace("_", " ")
    return f"Validation {plain}" if name.startswith(VALID) else plain[:1].upper() + plain[1:]


def machine(view: View) -> str:
    """Return how busy the machine is."""
    usage = view.usage
    if usage is None:
        return ""
    gib = f"{usage.memory / _GIB:.1f} of {usage.memory_limit / _GIB:.0f} GB"
    rows = [_meter("CPU", usage.cpu, f"{usage.cpu:.0%}")]
    rows.append(_meter("Memory", usage.memory / max(usage.memory_limit, 1), gib))
    for gpu in usage.gpus:
        held = f"{gpu.busy:.0%}, {gpu.used / _GIB:.1f} of {gpu.total / _GIB:.0f} GB"
        rows.append(_meter(escape(gpu.name), gpu.busy, held))
    return f'<section class="machine">{"".join(rows)}</section>'


def samples(view: View) -> str:
    """Return what the model said to a few prompts, before and after training; empty for none."""
    if view.samples is None:
        return ""
    when = "Before and after training" if _is_after(view.samples) else "Before training"
    parts = [f'<p class="small">{when}. {escape(view.samples.about)}</p>']
    for number, one in enumerate(view.samples.samples, 1):
        said = (("", "prompt"), ("before", "before"), ("after", "after"), ("in the data", "data"))
        blocks = (
            f"{f'<p>{title}</p>' if title else ''}<pre>{escape(one[name])}</pre>"
            for title, name in said
            if one.get(name)
        )
        opened = " open" if number == 1 else ""
        summary = f"<summary>Example {number}</summary>"
        parts.append(f"<details{opened}>{summary}{''.join(blocks)}</details>")
    return f'<section class="samples"><h2>What it says</h2>{"".join(parts)}</section>'


def _is_after(samples: Samples) -> bool:
    return any("after" in one for one in samples.samples)


def settings(view: View) -> str:
    """Return every setting of the job, with what the worker made of it for its machine."""
    rows = (
        f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>"
        for k, v in told_settings(view).items()
        if v is not None
    )
    return f'<table class="settings">{"".join(rows)}</table>'


def told_settings(view: View) -> dict[str, Any]:
    """Return every setting of the job by name, as `settings` shows it.

    Those that do nothing beside the others, as of other trainers, are left out.
    """
    spec = view.spec
    task, params = worker.tasks.asked(spec)
    idle = task.unused(params)
    about: dict[str, Any] = {"task": spec.task}
    if spec.model:
        about |= {"base model": spec.model.name, "revision": spec.model.revision}
    data = {"data": spec.data.repo_id or spec.data.folder, "commit": spec.data.revision}
    said = {name: value for name, value in spec.params.items() if name not in idle}
    asked = {**about, **data, **said}
    return asked | {
        name: f"{value} ({asked[name]} was asked for)" if asked.get(name, value) != value else value
        for name, value in view.story.chosen.items()
    }


def what_stopping_keeps(view: View, *, keeps_disk: bool) -> str:
    """Return what is left of the job if it is stopped now, in a sentence or two.

    `keeps_disk`: whether what lies on the machine's disk is still there afterwards.
    """
    kept = view.story.checkpoint_kept(keeps_disk=keeps_disk)
    model = f"The checkpoint of step {kept.step} stays at {kept.where}." if kept else ""
    record = "Its events and log are kept"
    where = f" in {view.spec.push.repo_id}." if view.spec.push else " where it runs."
    return f"{model or 'No model is kept.'} {record}{where} Nothing costs any more."


def who(name: str | None, may_stop: bool) -> str:
    """Return who looks, and how to become somebody who may stop the job."""
    if name is None:
        sign_in = '<a href="login/huggingface" target="_blank">Sign in with Hugging Face</a>'
        return f'<p class="small">{sign_in} to stop this job.</p>'
    lacking = "" if may_stop else ", who may not stop this job"
    out = '<a href="logout">Sign out</a>'
    return f'<p class="small">Signed in as {escape(name)}{lacking}. {out}</p>'


def _bar(view: View) -> str:
    story, progress = view.story, view.story.progress
    if story.state.final or progress is None:
        return ""
    share = progress.step / max(progress.total_steps, 1)
    return f'<div class="bar" role="progressbar"><i style="width:{share:.1%}"></i></div>'


def _message(view: View) -> str:
    story = view.story
    parts = [f"<p>{escape(story.message)}</p>"] if story.message else []
    ended = story.state.final and story.state is not State.SUCCEEDED
    # A job that pushes nothing runs where disks are kept.
    if ended and story.checkpoint_kept(keeps_disk=view.spec.push is None):
        parts.append(f"<p>Go on: <code>hubtrain resume {escape(view.spec.job_id)}</code></p>")
    if story.detail:
        parts.append(
            f"<details open><summary>Last words</summary><pre>{escape(story.detail)}</pre>"
        )
        parts.append("</details>")
    if pushed := story.pushed:
        size = f"{pushed.size_bytes / 1e6:,.1f} MB"
        link = f'<a href="{escape(pushed.url)}" target="_blank">{escape(pushed.repo_id)}</a>'
        parts.append(f'<p class="model">{_made(view)}: {link}, {pushed.what}, {size}</p>')
    if story.output:
        parts.append(f'<p class="model">{_made(view)}: <code>{escape(story.output)}</code></p>')
    return "".join(parts)


def _made(view: View) -> str:
    return worker.tasks.load(view.spec.task).makes.capitalize()


def _facts(view: View) -> str:
    return (
        "<dl>"
        + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in _told(view))
        + "</dl>"
    )


def _told(view: View) -> Iterable[tuple[str, str]]:
    story, progress, limits = view.story, view.story.progress, view.spec.limits
    if not story.state.final and (doing := story.phase or view.waiting):
        yield "Now", doing
    if progress:
        yield "Step", f"{progress.step:,} of {progress.total_steps:,}"
        if progress.eta_seconds is not None and not story.state.final:
            yield "Left", roughly(progress.eta_seconds)
    first = view.telling[0] if view.telling else "loss"
    for name in dict.fromkeys(("loss", f"{VALID}loss", first, f"{VALID}{first}")):
        if name in story.metrics:
            yield _words(name), f"{story.metrics[name]:.4g}"
    if progress and progress.speed and not story.state.final:
        yield "Speed", progress.speed
    cap = f" of at most {money(limits.max_usd)}" if limits.max_usd is not None else ""
    machine = view.spec.machine
    yield "Cost", f"{money(view.cost) if machine.usd_per_hour else 'nothing'}{cap}"
    yield "Where", " ".join(dict.fromkeys(filter(None, (machine.backend, machine.flavor))))


def _meter(name: str, share: float, said: str) -> str:
    width = min(max(share, 0.0), 1.0)
    return f'<div><b>{name}</b><div class="bar"><i style="width:{width:.0%}"></i></div>{said}</div>'


def _speeds(events: list[Event]) -> Iterable[tuple[float, float]]:
    for event in events:
        if isinstance(event, Progress) and event.units_per_second:
            yield float(event.step), event.units_per_second
