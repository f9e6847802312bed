"""The page of a running job: what its owner sees, and nothing for anybody else.

A page that cannot be served never ends a job: without gradio the worker says so and goes on.
"""

from __future__ import annotations

from importlib.util import find_spec

from worker.supervise.live import Live, Page


def serve(live: Live) -> Page | None:
    """Serve the page from now on, in threads of its own; none if that cannot be."""
    if find_spec("gradio") is None:
        live.journal.log("No page: gradio is not installed here.")
        return None
    from worker.page.server import Server

    try:
        return Server(live)
    except (OSError, ValueError) as error:
        live.journal.log(f"No page: {error}")
        return None
