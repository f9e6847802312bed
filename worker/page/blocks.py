"""The layout of the page in gradio, and how its parts are updated.

A part that has not changed is not sent again, so that the reader's scroll position and selection
stay. All state comes from the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from worker.page.gate import viewer_of
from worker.show import view as shown
from worker.show.mounted import ASKED
from worker.show.polled import QUIET, Polled, redrawn, update
from worker.show.view import View
from worker.show.visits import Visit, Visits
from worker.supervise.live import Live

TICK_SECONDS = 2.0
LOG_LINES = 300
PARTS = ("answer", "curves", "samples", "machine", "more", "settings", "who")

_LEAVE = """
watch('value', () => {
  const end = element.querySelector('[data-end]');
  if (end) location.replace(end.dataset.end);
});
"""


def build(live: Live, visits: Visits, look: Callable[[], View], sign_in: bool) -> gr.Blocks:
    """Return the page of a job that runs; `sign_in` where people can say who they are."""
    with gr.Blocks(title=f"{live.spec.project}: hubtrain", analytics_enabled=False) as page:
        _connect(page, _lay_out(), Answers(live, look, sign_in), Polled(visits))
    return page


@dataclass(frozen=True, slots=True)
class Answers:
    """What the page answers to its readers."""

    live: Live
    look: Callable[[], View]
    sign_in: bool

    def refresh(self, visit: Visit, request: gr.Request, search: str) -> list[Any]:
        """Return what changed since this page was last drawn, part by part."""
        view = self.look()
        viewer, ends = viewer_of(request), bool(self.live.stopped_by) or self.live.over
        known = shown.who(viewer.name, viewer.may_stop) if self.sign_in and not ends else ""
        parts = {
            "answer": _answer(self.live, view, str(request.session_hash)),
            "curves": shown.curves(view),
            "samples": shown.samples(view),
            "machine": shown.machine(view),
            "more": shown.more_curves(view) or "Nothing else is measured yet.",
            "settings": shown.settings(view),
            "who": known,
        }
        return [
            *(redrawn(visit, name, parts[name]) for name in PARTS),
            update(visit, "log", value=log_tail(self.live, search)),
            update(visit, "stop", visible=viewer.may_stop and not ends),
        ]

    def ask(self, request: gr.Request) -> list[Any]:
        """Say what stopping keeps, and show the two ways on."""
        allowed = viewer_of(request).may_stop
        kept = shown.what_stopping_keeps(self.look(), keeps_disk=self.live.host.keeps_disk)
        return [gr.update(visible=allowed), f"Stop this job? {kept}" if allowed else ""]

    def stop(self, request: gr.Request) -> Any:
        """Stop the job, if whoever asks may."""
        viewer = viewer_of(request)
        if viewer.may_stop and viewer.name:
            self.live.ask_to_stop(viewer.name)
        return gr.update(visible=False)


def _lay_out() -> dict[str, Any]:
    """Return the page's components from top to bottom."""
    made: dict[str, Any] = {"answer": gr.HTML(elem_id="answer", js_on_load=_LEAVE)}
    with gr.Row(elem_id="controls"):
        made["stop"] = gr.Button("Stop…", visible=False, size="sm", elem_id="stop")
        made["who"] = gr.HTML(elem_id="who", js_on_load=None)
    with gr.Column(visible=False, elem_id="sure") as made["sure"]:
        made["words"] = gr.Markdown(elem_id="sure-words")
        with gr.Row():
            made["yes"] = gr.Button("Yes, stop it", variant="stop", size="sm", elem_id="stop-yes")
            made["no"] = gr.Button("Let it run", size="sm", elem_id="stop-no")
    for part in ("curves", "samples", "machine"):
        made[part] = gr.HTML(elem_id=part, js_on_load=None)
    made |= _log()
    with gr.Accordion("More measurements", open=False):
        made["more"] = gr.HTML(elem_id="more", js_on_load=None)
    with gr.Accordion("Settings", open=False):
        made["settings"] = gr.HTML(elem_id="settings", js_on_load=None)
    return made


def _log() -> dict[str, Any]:
    """Return the last lines of the log, and what they are searched with."""
    bare: dict[str, Any] = {"show_label": False, "container": False}
    search = gr.Textbox(placeholder="Search the last lines", elem_id="search", **bare)
    log = gr.Textbox(lines=6, max_lines=14, interactive=False, elem_id="log", **bare)
    whole = '<p class="small"><a href="log" target="_blank">The whole log</a></p>'
    gr.HTML(_shell(whole), js_on_load=None)
    return {"search": search, "log": log}


def _connect(page: gr.Blocks, made: dict[str, Any], answers: Answers, polled: Polled) -> None:
    """Let the components ask and show what `answers` says."""
    outputs = [made[name] for name in (*PARTS, "log", "stop")]
    look = polled.asks(answers.refresh, [made["search"]], outputs)
    for moment in (page.load, gr.Timer(TICK_SECONDS).tick, made["search"].change):
        moment(**look, trigger_mode="always_last")
    sure = made["sure"]
    asked = made["stop"].click(answers.ask, outputs=[sure, made["words"]], **QUIET)
    made["yes"].click(answers.stop, outputs=[sure], **QUIET)
    made["no"].click(lambda: gr.update(visible=False), outputs=[sure], **QUIET)
    asked.then(None, js=ASKED)


def log_tail(live: Live, search: str) -> str:
    """Return the last lines that hold what is searched for, in any case of letters."""
    wanted = search.casefold()
    lines = [line for line in live.journal.tail if wanted in line.casefold()]
    return "\n".join(lines[-LOG_LINES:])


def _answer(live: Live, view: View, session: str) -> str:
    # The script in `_LEAVE` sees this mark and opens the last page, which needs no server.
    mark = f'<i data-end="end?of={session}"></i>' if live.over else ""
    return shown.answer(view) + mark


def _shell(html: str) -> str:
    return f'<div class="hubtrain">{html}</div>'
