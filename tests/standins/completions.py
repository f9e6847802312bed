"""A server that speaks OpenAI's protocol as vLLM, TGI and llama.cpp do: streams, and refuses.

`Served.answers` decides what is said to a conversation; `Served.faults` are how the next requests
fail, one each: a status with an optional body and headers, or a word, see `Fault`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

CHAT = "/v1/chat/completions"

Fault = tuple[int, Any, dict[str, str]] | Literal["breaks", "errs", "html", "whole", "hangs"]
"""`breaks`: the connection closes within an answer; `errs`: an error is streamed within it;
`html`: a web page; `whole`: it does not stream; `hangs`: the first word, then nothing."""


def words(messages: list[dict[str, str]]) -> list[str]:
    """Return an answer in pieces, as tokens are: what was asked, and how much was said before."""
    return [f"{len(messages)}:", *(f" {word}" for word in messages[-1]["content"].split())]


@dataclass
class Served:
    """What a server has, was asked and will do."""

    models: list[str] = field(default_factory=lambda: ["tiny"])
    key: str = ""
    """Without it in the header a request is refused; none is needed where it is empty."""

    answers: Callable[[list[dict[str, str]]], list[str]] = words
    faults: list[Fault] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests for answers."""

    keys: list[str] = field(default_factory=list)
    """Headers `Authorization`, empty where there was none, of all requests."""

    address: str = ""
    let_go: threading.Event = field(default_factory=threading.Event)
    """Ends what hangs."""


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serve on a free port of this machine while inside."""
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        served.let_go.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: Served
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._allowed() and self.path == "/v1/models":
            models = [{"id": name, "object": "model"} for name in self.served.models]
            self._json(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            return
        if self.path != CHAT or body["model"] not in self.served.models:
            what = f"The model `{body.get('model')}` does not exist."
            self._json(404, {"error": {"message": what, "type": "NotFoundError", "code": 404}})
            return
        self.served.asked.append(body)
        fault = self.served.faults.pop(0) if self.served.faults else None
        if isinstance(fault, tuple):
            self._json(fault[0], fault[1], fault[2])
        elif fault == "html":
            self._bytes(200, b"<!doctype html><title>Welcome</title>", "text/html")
        else:
            self._answer(body, fault)

    def _answer(self, body: dict[str, Any], fault: str | None) -> None:
        pieces = self.served.answers(body["messages"])
        most = body.get("max_tokens") or len(pieces)
        end = "length" if most < len(pieces) else "stop"
        if not body.get("stream") or fault == "whole":
            message = {"role": "assistant", "content": "".join(pieces[:most])}
            choice = {"index": 0, "message": message, "finish_reason": end}
            self._json(200, {**_head(body, "chat.completion"), "choices": [choice]})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(body, {"role": "assistant", "content": ""})
        for n, piece in enumerate(pieces[:most]):
            self._chunk(body, {"content": piece})
            if fault and n == 0:
                self._fail(fault)
                return
        self._chunk(body, {}, end)
        self._send("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _fail(self, fault: str) -> None:
        if fault == "errs":
            error = {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}
            self._send(f"data: {json.dumps({'error': error})}\n\n")
            self.wfile.write(b"0\r\n\r\n")
        elif fault == "hangs":
            self.served.let_go.wait(60)
        self.close_connection = True

    def _chunk(self, body: dict[str, Any], delta: dict[str, str], end: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        told = {**_head(body, "chat.completion.chunk"), "choices": [choice]}
        self._send(f"data: {json.dumps(told)}\n\n")

    def _send(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _allowed(self) -> bool:
        said = self.headers.get("Authorization", "")
        self.served.keys.append(said)
        if not self.served.key or said == f"Bearer {self.served.key}":
            return True
        self._json(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
        return False

    def _json(self, status: int, told: Any, headers: dict[str, str] | None = None) -> None:
        self._bytes(status, json.dumps(told).encode(), "application/json", headers or {})

    def _bytes(
        self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": body["model"]}
