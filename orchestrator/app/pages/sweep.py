"""A sweep, its trials and its best: `/sweep?name=NAME`."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from orchestrator.app.base import App, Page
from orchestrator.app.shown import sweep as shown
from orchestrator.sweep.kept import trials
from orchestrator.sweep.spec import known, names
from worker.errors import HubtrainError
from worker.show.polled import QUIET, Polled, redrawn
from worker.show.visits import Visit

TICK_SECONDS = 4.0
EXAMPLE = "hubtrain sweep TASK --try lr=1e-5,3e-5"


def lay_out(app: App) -> None:
    """Let a sweep be chosen, and show it."""
    answers = Answers(app)
    name = gr.Dropdown([], label="Sweep", elem_id="sweep", filterable=True)
    trials_of_it = gr.HTML(elem_id="trials", js_on_load=None)
    look = Polled(app.visits).asks(answers.drawn, [name], [trials_of_it])
    app.on_open(answers.offered, outputs=[name], **QUIET).then(**look)
    for moment in (name.change, gr.Timer(TICK_SECONDS).tick):
        moment(**look, trigger_mode="always_last")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the page is told when it asks."""

    app: App

    def offered(self, request: gr.Request) -> Any:
        """Return the sweeps to choose from, that of the address chosen, or else the only one."""
        there, asked = names(), str(request.query_params.get("name", ""))
        only = there[0] if len(there) == 1 else None
        return gr.update(choices=there, value=asked if asked in there else only)

    def drawn(self, visit: Visit, _: gr.Request, name: str | None) -> list[Any]:
        """Return the sweep, if it is other than this page shows it."""
        self.app.board.look()
        if not visit.draws("all", (name, self.app.board.version())):
            return [gr.skip()]
        html = self._sweep(name)
        return [redrawn(visit, "sweep", html)]

    def _sweep(self, name: str | None) -> str:
        if not name:
            words = "Choose a sweep" if names() else "No sweeps yet"
            return f"<h1>{words}</h1><p><code>{EXAMPLE}</code> makes one.</p>"
        try:
            if (spec := known(name)) is None:
                return f"<h1>No such sweep</h1><p>There is no sweep {escape(name)}.</p>"
            client = self.app.client
            return shown.sweep(spec, trials(client, spec), client.clock.now())
        except HubtrainError as error:
            return f"<p>{escape(error.message)}</p>"


PAGE = Page("sweep", "Sweeps", lay_out, place=60)
