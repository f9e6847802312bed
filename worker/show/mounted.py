"""Gradio pages as part of a web application, with nothing on them that comes from elsewhere."""

from __future__ import annotations

import json
import warnings
from typing import Any

from worker.show import HERE, style
from worker.show.not_found import NotFound

IDLE_SECONDS = 1.0

ASKED = "() => { window.hubtrainAsks(); }"
"""What gradio is given as `js` once a question was asked, in a column called `sure`."""


def mounted(
    app: Any,
    page: Any,
    *,
    gone: str,
    css: str = "",
    uploads: bool = False,
    most: int | None = None,
) -> Any:
    """Put a gradio page into an ASGI application; `css` is added to its own.

    `gone` is what the page says once nobody answers it any more.
    With `uploads` a browser is given what was uploaded; no other file of this machine, ever. A file
    of more than `most` bytes is refused.
    """
    import gradio as gr

    app.add_middleware(NotFound)
    page.space_id = None  # otherwise gradio adds a header on Spaces, with fonts from other servers
    # Gradio would check its queues a thousand times a second.
    page._queue.sleep_when_free = page._queue.progress_update_sleep_when_free = IDLE_SECONDS
    js = (HERE / "page.js").read_text(encoding="utf-8")
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
            head=f"<script>const GONE = {json.dumps(gone)};\n{js}</script>",
            footer_links=[],
            run_history=False,
            show_error=False,
            ssr_mode=False,
            max_file_size=most,
            blocked_paths=[] if uploads else ["/"],
        )
