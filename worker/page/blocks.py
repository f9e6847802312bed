"""The layout of the page in gradio, and how its parts are updated.

A part that has not changed is not sent again, so that the reader's scroll position and selection
stay. All state comes from the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from worker.page import view as shown
from worker.page.gate import viewer_of
from worker.page.view import View
from worker.page.visits import Visit, Visits
from worker.supervise.live import Live

TICK_SECONDS = 2.0
IDLE_SECONDS = 1.0
LOG_LINES = 300
PARTS = ("answer", "curves", "machine", "log", "more", "stop", "who")

_LEAVE = """
watch('value', () => {
  const end = element.querySelector('[data-end]');
  if (end) location.replace(end.dataset.end);
});
"""
_HEAD = """
<script>
let lastWord = Date.now();
const ask = window.fetch;
window.fetch = async (...what) => {
  const answer = await ask(...what);
  if (answer.ok) lastWord = Date.now();
  return answer;
};
setInterval(() => {
  document.body.classList.toggle('stale', Date.now() - lastWord > 20000 && !document.hidden);
}, 2000);
</script>
"""


def build(live: Live, visits: Visits, look: Callable[[], View], sign_in: bool) -> gr.Blocks:
    """Return the page of a job that runs; `sign_in` where people can say who they are."""

    def refresh(search: str, request: gr.Request) -> list[Any]:
        """Return what changed since this page was last drawn, part by part."""
        session = str(request.session_hash)
        visit, view = visits.look(session), look()
        viewer, ends = viewer_of(request), bool(live.stopped_by) or live.over
        values = {
            "answer": _answer(live, view, session),
            "curves": _shell(shown.curves(view)),
            "machine": _shell(shown.machine(view)),
            "log": log_tail(live, search),
            "more": _shell(shown.more_curves(view) or "Nothing else is measured yet."),
            "stop": viewer.may_stop and not ends,
            "who": _shell(shown.who(viewer.name, viewer.may_stop)) if sign_in and not ends else "",
        }
        return [_update(visit, part, values[part]) for part in PARTS]

    def ask(request: gr.Request) -> list[Any]:
        """Say what stopping keeps, and show the two ways on."""
        allowed = viewer_of(request).may_stop
        kept = shown.what_stopping_keeps(look(), keeps_disk=live.host.keeps_disk)
        return [gr.update(visible=allowed), f"Stop this job? {kept}" if allowed else ""]

    def stop(request: gr.Request) -> Any:
        """Stop the job, if whoever asks may."""
        viewer = viewer_of(request)
        if viewer.may_stop and viewer.name:
            live.ask_to_stop(viewer.name)
        return gr.update(visible=False)

    with gr.Blocks(title=f"{live.spec.project}: hubtrain", analytics_enabled=False) as page:
        answer = gr.HTML(elem_id="answer", js_on_load=_LEAVE)
        with gr.Row(elem_id="controls"):
            stop_button = gr.Button("Stop…", visible=False, size="sm", elem_id="stop")
            who = gr.HTML(elem_id="who", js_on_load=None)
        with gr.Column(visible=False, elem_id="sure") as sure:
            words = gr.Markdown()
            with gr.Row():
                yes = gr.Button("Yes, stop it", variant="stop", size="sm", elem_id="stop-yes")
                no = gr.Button("Let it run", size="sm", elem_id="stop-no")
        curves = gr.HTML(elem_id="curves", js_on_load=None)
        machine = gr.HTML(elem_id="machine", js_on_load=None)
        search = gr.Textbox(
            placeholder="Search the last lines", show_label=False, container=False, elem_id="search"
        )
        log = gr.Textbox(
            show_label=False,
            lines=6,
            max_lines=14,
            interactive=False,
            elem_id="log",
            container=False,
        )
        whole_log = '<p class="small"><a href="log" target="_blank">The whole log</a></p>'
        gr.HTML(_shell(whole_log), js_on_load=None)
        with gr.Accordion("More measurements", open=False):
            more = gr.HTML(elem_id="more", js_on_load=None)
        with gr.Accordion("Settings", open=False):
            gr.HTML(_shell(shown.settings(live.spec)), js_on_load=None)

        parts = [answer, curves, machine, log, more, stop_button, who]
        quiet: dict[str, Any] = {
            "queue": False,
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        timer = gr.Timer(TICK_SECONDS)
        for moment in (page.load, timer.tick, search.change):
            moment(refresh, inputs=[search], outputs=parts, trigger_mode="always_last", **quiet)
        stop_button.click(ask, outputs=[sure, words], **quiet)
        yes.click(stop, outputs=[sure], **quiet)
        no.click(lambda: gr.update(visible=False), outputs=[sure], **quiet)
    page.space_id = None  # otherwise gradio adds a header on Spaces, with fonts from other servers
    # Nothing is queued here, but gradio would check its queues a thousand times a second.
    page._queue.sleep_when_free = page._queue.progress_update_sleep_when_free = IDLE_SECONDS
    return page


def log_tail(live: Live, search: str) -> str:
    """Return the last lines that hold what is searched for, in any case of letters."""
    wanted = search.casefold()
    lines = [line for line in live.journal.tail if wanted in line.casefold()]
    return "\n".join(lines[-LOG_LINES:])


def style() -> str:
    """Return the style sheet that the live page and the last one share."""
    return (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def mounted(app: Any, page: gr.Blocks) -> Any:
    """Put the page into an ASGI application, with nothing on it that comes from elsewhere."""
    theme = gr.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=theme,
        css=style(),
        head=_HEAD,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        blocked_paths=["/"],
    )


def _answer(live: Live, view: View, session: str) -> str:
    # The script in `_LEAVE` sees this mark and opens the last page, which needs no server.
    mark = f'<i data-end="end?of={session}"></i>' if live.over else ""
    return _shell(shown.answer(view) + mark)


def _shell(html: str) -> str:
    return f'<div class="hubtrain">{html}</div>'


def _update(visit: Visit, part: str, value: Any) -> Any:
    print_of = hash(value)
    if visit.drawn.get(part) == print_of:
        return gr.skip()
    visit.drawn[part] = print_of
    return gr.update(visible=value) if part == "stop" else value
