"""The page of a running job: what its owner sees, and nothing for anybody else.

A page that cannot be served never ends a job: without gradio the worker says so and goes on.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

from worker.supervise.live import Live


class Page(Protocol):
    """A page that is being served."""

    url: str | None
    """Its address where only this machine knows it, without the key that opens it."""

    def show_end(self, seconds: float) -> None:
        """Wait until each open page has drawn the end, at most so long."""
        ...


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
