"""The page of a running job: what its owner sees, and nothing for anybody else.

A page that cannot be served never ends a job: without gradio the worker says so and goes on.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec

import worker.tasks
from worker.supervise.live import Live, Page


def serve(live: Live) -> Page | None:
    """Serve the page from now on, in threads of its own; none if that cannot be."""
    if find_spec("gradio") is None:
        live.journal.log("No page: gradio is not installed here.")
        return None
    from worker.page.server import Server

    # Settings are read off their source as a task is imported, and CPython 3.11 may fail where two
    # threads parse source at once: so before there is a thread that imports gradio.
    with suppress(ValueError):
        worker.tasks.load(live.spec.task)
    try:
        return Server(live)
    except (OSError, ValueError) as error:
        live.journal.log(f"No page: {error}")
        return None
