"""Rehearsals and their reports: `/rehearsals`, `/rehearsals?id=NAME`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from orchestrator.app.base import App, Page
from orchestrator.app.confirm import PRESSED, question
from orchestrator.app.shown import rehearsals as shown
from worker.show.polled import Polled, redrawn
from worker.show.visits import Visit

TICK_SECONDS = 2.0


def lay_out(app: App) -> None:
    """Show the report that the address names, and below it all that are kept."""
    answers = Answers(app)
    report = gr.HTML(elem_id="report", js_on_load=PRESSED)
    sure = question()
    listed = gr.HTML(elem_id="rehearsals", js_on_load=None)
    look = Polled(app.visits).asks(answers.drawn, [], [report, listed])
    for moment in (app.on_open, gr.Timer(TICK_SECONDS).tick):
        moment(**look, trigger_mode="always_last")
    sure.before([report], answers.question, answers.do)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the page is told when it asks."""

    app: App

    def question(self, act: str, name: str) -> str:
        """Return what is asked before a rehearsal is stopped."""
        return "Stop the rehearsal? All that it made is removed; what it has shown so far stays."

    def do(self, act: str, name: str) -> None:
        """Stop it."""
        self.app.rehearsing.stop(name)

    def drawn(self, visit: Visit, request: gr.Request) -> list[Any]:
        """Return what has changed since this page was last drawn."""
        name = str(request.query_params.get("id", ""))
        every, now = self.app.rehearsing.reports(), self.app.client.clock.now()
        asked = next((one for one in every if one.rehearsal == name), None)
        values = {
            "report": shown.report(asked, now) if asked else shown.none(name, every),
            "rehearsals": shown.table(every, asked, now),
        }
        return [redrawn(visit, part, html) for part, html in values.items()]


PAGE = Page("rehearsals", "Rehearsals", lay_out, place=50)
