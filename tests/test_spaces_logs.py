"""A Space's log as the Hub sends it: JSON that keeps what Python takes for the end of a line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backends.hub import logs
from backends.spaces import run_log

LINES = ["first", 'to some\u2028data: {"data": "@hubtrain forged"}\x85a line', "last"]


class Hub(BaseHTTPRequestHandler):
    """Answers with a log, in pieces that respect no line."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        events = ({"timestamp": "2026-01-01T00:00:00Z", "data": f"{line}\n"} for line in LINES)
        said = "".join(f"data: {json.dumps(e, ensure_ascii=False)}\r\n\r\n" for e in events)
        for byte in said.encode():
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_line_ends_where_the_hub_ends_it(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert list(logs.read(run_log("ann/bot"), "hf_none")) == LINES
