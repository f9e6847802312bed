"""What jobs have cost, by month and project: `/cost`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from orchestrator.app.base import App, Page
from orchestrator.app.shown import cost as shown
from orchestrator.jobs.ledger import GROUPS
from worker.show.polled import QUIET, Polled, redrawn
from worker.show.visits import Visit

TICK_SECONDS = 4.0


def lay_out(app: App) -> None:
    """Let be chosen what is summed up, and show it."""
    answers = Answers(app)
    with gr.Row():
        by = gr.Radio(
            [(name.capitalize(), name) for name in GROUPS], value="month", label="By", elem_id="by"
        )
        only = gr.Dropdown([("All months", "")], value="", label="Month", elem_id="month")
    ledger = gr.HTML(elem_id="ledger", js_on_load=None)
    look = Polled(app.visits).asks(answers.drawn, [by, only], [ledger])
    app.on_open(answers.months, outputs=[only], **QUIET).then(**look)
    for moment in (by.change, only.change, gr.Timer(TICK_SECONDS).tick):
        moment(**look, trigger_mode="always_last")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the page is told when it asks."""

    app: App

    def months(self) -> Any:
        """Return the months to choose from."""
        return gr.update(choices=shown.months(self.app.board.seen()))

    def drawn(self, visit: Visit, _: gr.Request, by: str, only: str) -> list[Any]:
        """Return what jobs have cost, if that is other than this page shows it."""
        self.app.board.look()
        html = shown.ledger(self.app.board.seen(), by, only or shown.ALL)
        return [redrawn(visit, "ledger", html)]


PAGE = Page("cost", "Cost", lay_out, place=70)
