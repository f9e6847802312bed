"""What a Space runs that is there for its image alone, until it is paused: a page that says so."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page(BaseHTTPRequestHandler):
    """One page for every path."""

    def do_GET(self) -> None:
        """Say what this is."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"This Space is there for its image alone, and may be paused.\n")


if __name__ == "__main__":
    where = os.environ["GRADIO_SERVER_NAME"], int(os.environ["GRADIO_SERVER_PORT"])
    ThreadingHTTPServer(where, Page).serve_forever()
