"""Two jobs laid over each other: `/compare?a=JOB&b=JOB`."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from orchestrator.app.base import App, Page
from orchestrator.app.shown import compare as shown
from worker.errors import HubtrainError
from worker.show.polled import QUIET, Polled, redrawn
from worker.show.visits import Visit

TICK_SECONDS = 4.0


def lay_out(app: App) -> None:
    """Let two jobs be chosen, and show them."""
    answers = Answers(app)
    gr.HTML('<div class="hubtrain"><h1>Two jobs laid over each other</h1></div>', js_on_load=None)
    with gr.Row():
        one = gr.Dropdown([], label="This job", elem_id="one", filterable=True)
        other = gr.Dropdown([], label="That job", elem_id="other", filterable=True)
    both = gr.HTML(elem_id="compared", js_on_load=None)
    look = Polled(app.visits).asks(answers.drawn, [one, other], [both])
    app.on_open(answers.offered, outputs=[one, other], **QUIET).then(**look)
    for moment in (one.change, other.change, gr.Timer(TICK_SECONDS).tick):
        moment(**look, trigger_mode="always_last")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the page is told when it asks."""

    app: App

    def offered(self, request: gr.Request) -> list[Any]:
        """Return the jobs to choose from, with those of the address chosen."""
        asked = _asked(request)
        jobs, now = self.app.board.jobs(), self.app.client.clock.now()
        offered = shown.choices(jobs, asked, now)
        known = {job_id for _, job_id in offered}
        chosen = [one if one in known else None for one in asked]
        return [gr.update(choices=offered, value=value) for value in chosen]

    def drawn(
        self, visit: Visit, request: gr.Request, one: str | None, other: str | None
    ) -> list[Any]:
        """Return the two jobs, if they are other than this page shows them."""
        self.app.board.look()
        named = [chosen or said for chosen, said in zip((one, other), _asked(request), strict=True)]
        return [redrawn(visit, "both", self._both(*named))]

    def _both(self, one: str, other: str) -> str:
        if not one or not other:
            few = len(self.app.board.jobs()) < 2  # noqa: PLR2004
            return f"<p>{'There are no two jobs yet.' if few else 'Choose two jobs.'}</p>"
        try:
            both = self.app.board.record(one), self.app.board.record(other)
        except HubtrainError as error:
            return f"<p>{escape(error.message)}</p>"
        return shown.compared(*both, self.app.client.clock.now())


def _asked(request: gr.Request) -> list[str]:
    """Return the jobs that the address names; "" for one that it does not."""
    return [str(request.query_params.get(name, "")) for name in ("a", "b")]


PAGE = Page("compare", "Compare", lay_out, place=80)
