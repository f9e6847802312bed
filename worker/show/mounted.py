"""Gradio pages as part of a web application, with nothing on them that comes from elsewhere."""

from __future__ import annotations

import warnings
from typing import Any

from worker.show import style

IDLE_SECONDS = 1.0


def mounted(app: Any, page: Any, *, head: str, css: str = "", uploads: bool = False) -> Any:
    """Put a gradio page into an ASGI application; `head` and `css` are added to its own.

    With `uploads` a browser is given what was uploaded; no other file of this machine, ever.
    """
    import gradio as gr

    page.space_id = None  # otherwise gradio adds a header on Spaces, with fonts from other servers
    # Gradio would check its queues a thousand times a second.
    page._queue.sleep_when_free = page._queue.progress_update_sleep_when_free = IDLE_SECONDS
    theme = gr.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SSR mode is not supported with multi-page apps")
        return gr.mount_gradio_app(
            app,
            page,
            path="/",
            theme=theme,
            css=style() + css,
            head=head,
            footer_links=[],
            run_history=False,
            show_error=False,
            ssr_mode=False,
            blocked_paths=[] if uploads else ["/"],
        )
