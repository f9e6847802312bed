"""A job's page: what its own page showed, after its end too, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from orchestrator.app.base import App, Page
from orchestrator.app.confirm import PRESSED, question
from orchestrator.app.job_actions import ResumeAction, question_before_removal, remove
from orchestrator.app.pages._tryit import try_it
from orchestrator.app.shown import job as shown
from orchestrator.app.stopping import question as words_before
from orchestrator.app.stopping import stop
from orchestrator.inference.trained import made_by
from orchestrator.jobs.records import Record
from orchestrator.jobs.resumable import checkpoint_of
from orchestrator.jobs.view import view_of
from worker.errors import HubtrainError
from worker.show import view as shared
from worker.show.polled import QUIET, Polled, redrawn, update
from worker.show.visits import Visit

TICK_SECONDS = 2.0
PARTS = ("answer", "controls", "curves", "samples", "more", "cost", "settings", "whole")


def lay_out(app: App) -> None:
    """Show the job that the address names, and go on doing so."""
    answers = Answers(app)
    made: dict[str, Any] = {"answer": gr.HTML(elem_id="answer", js_on_load=None)}
    made["controls"] = gr.HTML(elem_id="controls", js_on_load=PRESSED)
    sure = question("Yes")
    made["curves"] = gr.HTML(elem_id="curves", js_on_load=None)
    made["samples"] = gr.HTML(elem_id="samples", js_on_load=None)
    trying = try_it(app)
    listening = gr.State(False)
    with gr.Accordion("Log", open=False, elem_id="log-box") as box:
        search = gr.Textbox(label="Search", elem_id="search", placeholder="Search the last lines")
        log = gr.Textbox(
            label="Last lines", lines=8, max_lines=24, interactive=False, elem_id="log"
        )
        made["whole"] = gr.HTML(js_on_load=None, elem_id="whole-log")
    for part, title in (
        ("more", "More measurements"),
        ("cost", "Time and cost"),
        ("settings", "Settings"),
    ):
        with gr.Accordion(title, open=False):
            made[part] = gr.HTML(elem_id=part, js_on_load=None)

    outputs = [*(made[part] for part in PARTS), log, trying]
    look = Polled(app.visits).asks(answers.drawn, [search, listening], outputs)
    for moment in (app.on_open, gr.Timer(TICK_SECONDS).tick, search.change):
        moment(**look, trigger_mode="always_last")
    box.expand(lambda: True, outputs=[listening], **QUIET).then(**look)
    box.collapse(lambda: False, outputs=[listening], **QUIET)
    sure.before([made["controls"]], answers.question, answers.do)


@dataclass(slots=True)
class Answers:
    """What the page is told when it asks."""

    app: App
    going_on: ResumeAction = field(init=False)

    def __post_init__(self) -> None:
        self.going_on = ResumeAction(self.app.board)

    def question(self, act: str, job_id: str) -> str:
        """Return what is asked before something is done with the job. Raises `HubtrainError`."""
        if act == "resume":
            return self.going_on.question(job_id)
        if act == "remove":
            return question_before_removal(self.app.board, job_id)
        return words_before(self.app.board, act, job_id)

    def do(self, act: str, job_id: str) -> None:
        """Do it."""
        if act == "resume":
            self.going_on.go_on(job_id)
        elif act == "remove":
            remove(self.app.board, job_id)
        else:
            stop(self.app.board, act, job_id)

    def drawn(self, visit: Visit, request: gr.Request, search: str, listening: bool) -> list[Any]:
        """Return what has changed since this page was last drawn, part by part."""
        name = str(request.query_params.get("id", ""))
        self.app.board.look()
        try:
            record = self.app.board.record(name)
        except HubtrainError as error:
            values = {part: "" for part in PARTS}
            values["answer"] = shown.unknown(name, error.message)
            log, asks = "", False
        else:
            here = self.app.client.guest is None
            values, asks = self._values(record), here and made_by(record) is not None
            log = self.app.logs.tail(record, search or "") if listening else ""
        return [
            *(redrawn(visit, name, values[name]) for name in PARTS),
            update(visit, "log", value=log),
            update(visit, "asks", visible=asks),
        ]

    def _values(self, record: Record) -> dict[str, str]:
        now = self.app.client.clock.now()
        view = view_of(record, now, self.app.said.of(record))
        over = record.story.state.final
        resumable = over and checkpoint_of(record) is not None
        can = shown.Can(not record.settled, resumable, self.app.has("new"))
        page = None if over else self._own_page(record)
        return {
            "answer": shared.answer(view),
            "controls": shown.controls(record, can, page, self.app.board.notes()),
            "curves": shared.curves(view),
            "samples": shared.samples(view),
            "more": shared.more_curves(view) or "Nothing else is measured.",
            "cost": shown.cost(record, now),
            "settings": shared.settings(view),
            "whole": shown.log_link(record.job_id),
        }

    def _own_page(self, record: Record) -> str | None:
        try:
            return self.app.client.page(record)
        except HubtrainError:  # a provider that does not answer
            return None


PAGE = Page("job", "Job", lay_out)
