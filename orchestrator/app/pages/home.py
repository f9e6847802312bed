"""The first page: all jobs."""

from __future__ import annotations

import gradio as gr

from orchestrator.app.base import App, Page


def lay_out(app: App) -> None:
    """Show what there is to see."""
    gr.HTML('<div class="hubtrain"><h1>Jobs</h1></div>', js_on_load=None, elem_id="jobs")


PAGE = Page("", "Jobs", lay_out, place=0)
