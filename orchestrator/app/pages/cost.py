"""What jobs have cost, by month and project: `/cost`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from orchestrator.app.asking import QUIET
from orchestrator.app.base import App, Page
from orchestrator.app.shown import cost as shown
from orchestrator.jobs.ledger import GROUPS

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
    how = {"inputs": [by, only], "outputs": [ledger]}
    app.on_open(answers.months, outputs=[only], **QUIET).then(answers.drawn, **how, **QUIET)
    for moment in (by.change, only.change, gr.Timer(TICK_SECONDS).tick):
        moment(answers.drawn, **how, trigger_mode="always_last", **QUIET)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the page is told when it asks."""

    app: App

    def months(self) -> Any:
        """Return the months to choose from."""
        return gr.update(choices=shown.months(self.app.board.seen()))

    def drawn(self, by: str, only: str, request: gr.Request) -> Any:
        """Return what jobs have cost, if that is other than this page shows it."""
        self.app.board.look()
        html = shown.ledger(self.app.board.seen(), by, only or shown.ALL)
        visit = self.app.visits.look(str(request.session_hash))
        return f'<div class="hubtrain">{html}</div>' if visit.draws("ledger", html) else gr.skip()


PAGE = Page("cost", "Cost", lay_out, place=70)
