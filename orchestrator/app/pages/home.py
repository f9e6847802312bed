"""The first page: all jobs, what costs now, and a stop for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from orchestrator.app.asking import PRESSED, QUIET, question
from orchestrator.app.base import App, Page
from orchestrator.app.board import curve
from orchestrator.app.shown import home as shown
from orchestrator.app.shown.home import ROWS, Wanted
from orchestrator.app.stopping import question as words_before
from orchestrator.app.stopping import stop

TICK_SECONDS = 2.0
FILTERS = ("state", "task", "place")


def lay_out(app: App) -> None:
    """Show all jobs, and go on doing so."""
    top = gr.HTML(elem_id="top", js_on_load=PRESSED)
    sure = question()
    search, filters = _filters()
    table = gr.HTML(elem_id="jobs", js_on_load=PRESSED)
    first = gr.State(0)
    with gr.Row(elem_id="turn"):
        newer = gr.Button("Newer", size="sm", visible=False)
        older = gr.Button("Older", size="sm", visible=False)
    deployed = gr.HTML(elem_id="deployed", js_on_load=PRESSED)

    inputs = [search, *filters, first]
    outputs = [top, table, deployed, newer, older, *filters]
    look = {"fn": Answers(app).drawn, "inputs": inputs, "outputs": outputs}
    for moment in (app.on_open, gr.Timer(TICK_SECONDS).tick):
        moment(**look, trigger_mode="always_last", **QUIET)
    for one in (search, *filters):
        change = one.change(lambda: 0, outputs=[first], **QUIET)
        change.then(**look, **QUIET)
    for button, by in ((newer, -ROWS), (older, ROWS)):
        turned = button.click(partial(_turned, by), [first], [first], **QUIET)
        turned.then(**look, **QUIET)
    sure.before([top, table, deployed], partial(words_before, app.board), partial(stop, app.board))


def _filters() -> tuple[Any, list[Any]]:
    with gr.Row(elem_id="filters"):
        search = gr.Textbox(label="Search", placeholder="Name, task, place", scale=2, min_width=140)
        made = [
            gr.Dropdown(
                options, value="", label=name.capitalize(), elem_id=f"by-{name}", min_width=150
            )
            for name, options in shown.choices(()).items()
        ]
    return search, made


def _turned(by: int, first: int) -> int:
    return max(0, first + by)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the page is told when it asks."""

    app: App

    def drawn(  # noqa: PLR0917
        self, search: str, state: str, task: str, place: str, first: int, request: gr.Request
    ) -> list[Any]:
        """Return what has changed since this page was last drawn, part by part."""
        wanted = Wanted(search or "", state or "", task or "", place or "", first)
        visit = self.app.visits.look(str(request.session_hash))
        if not visit.draws("all", (wanted, self.app.board.version())):
            return [gr.skip()] * (5 + len(FILTERS))
        seen = self.app.board.seen()
        jobs = shown.chosen(seen.jobs, wanted)
        values = {
            "top": _shell(shown.top(seen)),
            "rows": _shell(shown.table(jobs, wanted, curve, seen.now)),
            "deployed": _shell(shown.deployed(seen)),
            "newer": first > 0,
            "older": first + ROWS < len(jobs),
        }
        drawn = [
            (gr.update(visible=value) if isinstance(value, bool) else value)
            if visit.draws(part, value)
            else gr.skip()
            for part, value in values.items()
        ]
        options = shown.choices(seen.jobs)
        return drawn + [
            gr.update(choices=options[name])
            if visit.draws(f"by-{name}", tuple(options[name]))
            else gr.skip()
            for name in FILTERS
        ]


def _shell(html: str) -> str:
    return f'<div class="hubtrain">{html}</div>'


PAGE = Page("", "Jobs", lay_out, place=0)
