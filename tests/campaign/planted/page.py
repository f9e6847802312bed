"""A page that says nothing: a Space has to answer on its port, and gradio takes seconds to load."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from worker.page import serve as real
from worker.supervise.live import Live, Page

from . import conditions


class Answer(BaseHTTPRequestHandler):
    """Answers everything, quietly."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Quiet:
    """The page of no job in particular."""

    url: str | None = None

    def __init__(self, name: str, port: int) -> None:
        server = ThreadingHTTPServer((name, port), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def show_end(self, seconds: float) -> None:
        """Show nobody anything."""


def serve(live: Live) -> Page | None:
    """Serve the real page where the conditions want it, else one that is there at once."""
    if conditions().get("page") == "real":
        return real(live)
    port = live.host.environ.get("GRADIO_SERVER_PORT")
    return Quiet(live.host.environ.get("GRADIO_SERVER_NAME", ""), int(port)) if port else None
