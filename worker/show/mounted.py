"""Gradio pages as part of a web application, with nothing on them that comes from elsewhere."""

from __future__ import annotations

import json
import warnings
from typing import Any

from worker.show import style
from worker.show.lost import Lost

IDLE_SECONDS = 1.0

_HEAD = """
<script>
document.documentElement.lang = "en";
const GONE = TOLD;
let lastWord = Date.now(), asking = false;
const named = () => {
  const told = [...document.querySelectorAll("[data-title]")].at(-1)?.dataset.title;
  if (told && document.title !== told) document.title = told;
};
const ask = window.fetch;
window.fetch = async (where, how) => {
  if (String(where).includes("/gradio_api/run/")) {
    how = {signal: AbortSignal.timeout(60000), ...how};
  }
  const answer = await ask(where, how);
  if (answer.ok) lastWord = Date.now();
  if (answer.status === 401) location.reload();
  return answer;
};
const silent = () => document.hidden ? 0 : Date.now() - lastWord;
const isThere = async () => {
  if (asking || silent() < 8000) return;
  asking = true;
  await window.fetch("/robots.txt", {cache: "no-store", signal: AbortSignal.timeout(5000)})
    .catch(() => {});
  asking = false;
};
const gone = () => {
  let line = document.getElementById("gone");
  if (!line) {
    line = document.createElement("div");
    line.id = "gone";
    line.setAttribute("role", "status");
    document.body.append(line);
  }
  const told = silent() > 20000 ? GONE : "";
  if (line.textContent !== told) line.textContent = told;
};
document.addEventListener("visibilitychange", () => {
  lastWord = Math.max(lastWord, Date.now() - 8000);
});
setInterval(() => { isThere(); gone(); named(); }, 1000);
</script>
"""
"""Says so once the server has been silent for 20 s, and calls the tab as the last part of the page
says that has `data-title`. A page that has nothing to ask for asks whether the server is there.

A question without an answer fails after a minute: gradio then loads the page again. Otherwise it
would wait for that answer for ever, and ask nothing any more. Where a login has ended, the page is
loaded again, and says so.
"""


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

    app.add_middleware(Lost)
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
            head=_HEAD.replace("TOLD", json.dumps(gone)),
            footer_links=[],
            run_history=False,
            show_error=False,
            ssr_mode=False,
            max_file_size=most,
            blocked_paths=[] if uploads else ["/"],
        )
