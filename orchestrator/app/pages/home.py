"""The first page: all jobs, what costs now, and a stop for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from orchestrator.app.base import App, Page
from orchestrator.app.board import curve
from orchestrator.app.confirm import PRESSED, question
from orchestrator.app.shown import home as shown
from orchestrator.app.shown.home import ROWS, Wanted
from orchestrator.app.stopping import question as words_before
from orchestrator.app.stopping import stop
from worker.show.polled import QUIET, Polled, redrawn, update
from worker.show.visits import Visit

TICK_SECONDS = 2.0
FILTERS = ("state", "task", "place")


def lay_out(app: App) -> None:
    """Show all jobs, and go on doing so."""
    top = gr.HTML(elem_id="top", js_on_load=PRESSED)
    sure = question()
    search, filters = _filters()
    table = gr.HTML(elem_id="jobs", js_on_load=PRESSED)
    first = gr.State(0)
    with gr.Row(elem_id="pager"):
        newer = gr.Button("Newer", size="sm", visible=False)
        older = gr.Button("Older", size="sm", visible=False)
    deployed = gr.HTML(elem_id="deployed", js_on_load=PRESSED)

    inputs = [search, *filters, first]
    outputs = [top, table, deployed, newer, older, *filters]
    look = Polled(app.visits).asks(Answers(app).drawn, inputs, outputs)
    for moment in (app.on_open, gr.Timer(TICK_SECONDS).tick):
        moment(**look, trigger_mode="always_last")
    for one in (search, *filters):
        change = one.change(lambda: 0, outputs=[first], **QUIET)
        change.then(**look)
    for button, by in ((newer, -ROWS), (older, ROWS)):
        turned = button.click(partial(_turned, by), [first], [first], **QUIET)
        turned.then(**look)
    sure.before([top, table, deployed], partial(words_before, app.board), partial(stop, app.board))


def _filters() -> tuple[Any, list[Any]]:
    with gr.Row(elem_id="filters"):
        search = gr.Textbox(
            label="Search",
            placeholder="Name, task, place",
            scale=2,
            min_width=140,
            elem_id="search",
        )
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

    def drawn(self, visit: Visit, _: gr.Request, search: str | None, *asked: Any) -> list[Any]:
        """Return what has changed since this page was last drawn, part by part."""
        state, task, place, first = asked
        wanted = Wanted(search or "", state or "", task or "", place or "", first)
        if not visit.draws("all", (wanted, self.app.board.version())):
            return [gr.skip()] * (5 + len(FILTERS))
        seen = self.app.board.seen()
        jobs = shown.chosen(seen.jobs, wanted)
        turns = {"newer": first > 0, "older": first + ROWS < len(jobs)}
        options = shown.choices(seen.jobs)
        return [
            redrawn(visit, "top", shown.top(seen)),
            redrawn(visit, "rows", shown.table(jobs, wanted, curve, seen.now)),
            redrawn(visit, "deployed", shown.deployed(seen)),
            *(update(visit, name, visible=there) for name, there in turns.items()),
            *(update(visit, f"by-{name}", choices=options[name]) for name in FILTERS),
        ]


PAGE = Page("", "Jobs", lay_out, place=0)
