"""The page on which a job is written: `/new`, `/new?task=…`, `/new?again=JOB`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import gradio as gr

from orchestrator.app.base import App, Page
from orchestrator.app.writing.sheet import Sheets, Told, prepare
from orchestrator.app.writing.site import Site

HERE = Path(__file__).parent.parent / "writing"
TICK_SECONDS = 0.7

_TAKE = "watch('value', () => { if (props.value) window.hubtrainSheet(JSON.parse(props.value)); });"


def lay_out(app: App) -> None:
    """Lay out the form, and what carries the answers to it."""
    sheets = Sheets(
        Site(
            app.client,
            os.environ if app.own_machine else {},
            app.own_machine,
            rehearsing=app.rehearsing if app.own_machine else None,
        )
    )
    css, js = ((HERE / f"sheet.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    shell = (HERE / "shell.html").read_text(encoding="utf-8")
    form = gr.HTML(
        f"<style>{css}</style>{shell}", js_on_load=js, elem_id="writing", apply_default_css=False
    )
    told = gr.HTML("", html_template="<i></i>", js_on_load=_TAKE, visible="hidden")
    tick = gr.Timer(TICK_SECONDS, active=False)

    def answer(event: gr.EventData, request: gr.Request) -> list[Any]:
        message: dict[str, Any] = event._data if isinstance(event._data, dict) else {}
        return _shown(sheets.of(str(request.session_hash)).answer(message))

    def news(request: gr.Request) -> list[Any]:
        return _shown(sheets.of(str(request.session_hash)).news())

    quiet: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
        "trigger_mode": "multiple",
    }
    form.input(answer, outputs=[told, tick], **quiet)
    tick.tick(news, outputs=[told, tick], **quiet)


def _shown(told: Told) -> list[Any]:
    """Return what is told as JSON that is no HTML, and whether to ask again."""
    if not told:
        return [gr.skip(), gr.skip()]
    said = json.dumps(told, default=str).replace("<", "\\u003c").replace("&", "\\u0026")
    more = gr.Timer(active=bool(told["busy"])) if "busy" in told else gr.skip()
    return [said, more]


PAGE = Page("new", "New job", lay_out, place=1, prepare=prepare)
