"""A Hub seen through a bad line: what stands between passes everything on, and spoils some answers.

It tells nothing of what it does to either side, as a proxy, a login page or a broken Hub would.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import urlsplit

from fuzzing.damage import as_json, damaged, mangled

_HOP = {"host", "connection", "accept-encoding", "transfer-encoding", "content-length"}
"""Headers that are of one connection, and not passed on."""

STREAM_SECONDS = 0.3
"""Silence after which a stream is cut."""

STATUSES = (204, 206, 301, 304, 400, 401, 402, 403, 404, 409, 410, 418, 422, 429, 500, 503)


@dataclass
class Answer:
    """What the Hub answered, and what becomes of it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    length: int
    """What the answer says of its length, true or not."""

    def set(self, name: str, value: str) -> None:
        """Give a header another value."""
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        self.headers.append((name, value))

    def say(self, body: bytes, kind: str = "") -> None:
        """Answer something else."""
        self.body, self.length = body, len(body)
        if kind:
            self.set("content-type", kind)


Spoil = Callable[[Answer, Random], None]


def _mangled(answer: Answer, chance: Random) -> None:
    """JSON whose parts are lost or of other types; of other files, bytes."""
    try:
        tree = json.loads(answer.body)
    except ValueError:
        answer.say(damaged(answer.body, chance))
    else:
        answer.say(as_json(mangled(tree, chance)))


def _short(answer: Answer, chance: Random) -> None:
    answer.body = answer.body[: chance.randint(0, len(answer.body))]
    answer.length += chance.choice((0, 100))


def _status(answer: Answer, chance: Random) -> None:
    answer.status = chance.choice(STATUSES)


def _redirect(answer: Answer, chance: Random) -> None:
    answer.status = chance.choice((301, 302, 307))
    answer.set("location", chance.choice(("/api/loop", "http://", "http://127.0.0.1:9/x", "x")))


def _header(answer: Answer, chance: Random) -> None:
    name = chance.choice((*(k for k, _ in answer.headers), "content-encoding", "retry-after"))
    answer.set(name, chance.choice(("gzip", "-1", "nan", "9" * 40, "text/html", '"', "")))


SPOILS: dict[str, Spoil] = {
    "mangled": _mangled,
    "damaged": lambda answer, chance: answer.say(damaged(answer.body, chance)),
    "short": _short,
    "status": _status,
    "redirect": _redirect,
    "header": _header,
    "login page": lambda answer, _: answer.say(b"<!doctype html><p>Welcome", "text/html"),
    "empty": lambda answer, _: answer.say(b""),
    "null": lambda answer, _: answer.say(b"null"),
    "error of 200": lambda answer, _: answer.say(b'{"error":"Sorry"}', "application/json"),
    "huge": lambda answer, _: answer.say(b"[" + b'{"id":"a/b"},' * 100_000 + b"{}]"),
}
"""What becomes of an answer, by name."""

WEIGHTS = (6, *[1] * (len(SPOILS) - 1))


@dataclass
class Between:
    """A line before a Hub, which spoils `times` answers from its `first` on, as chance has it."""

    far: str
    near: str = ""
    chance: Random | None = None
    first: int = 0
    times: int = 1
    only: str = ""
    """The one way to spoil; any where none is named."""

    spoiled: list[str] = field(default_factory=list)
    """What was done, and to which request."""

    _asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(
        self, chance: Random | None = None, *, first: int = 0, times: int = 1, only: str = ""
    ) -> None:
        """Spoil other answers from now on, or none."""
        with self._lock:
            self.chance, self.first, self.times, self.only = chance, first, times, only
            self._asked = 0
            self.spoiled.clear()

    def spoil(self, answer: Answer, request: str) -> None:
        """Do to an answer what is due."""
        with self._lock:
            turn, self._asked = self._asked, self._asked + 1
            if self.chance is None or not self.first <= turn < self.first + self.times:
                return
            name = self.only or self.chance.choices(tuple(SPOILS), WEIGHTS)[0]
            self.spoiled.append(f"{name}: {request}")
            SPOILS[name](answer, self.chance)


class _Line(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    between: Between

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def pass_on(self) -> None:
        """Pass a request on, and its answer back."""
        try:
            answer = self._ask()
        except (OSError, HTTPException):
            self.close_connection = True
            return
        self.between.spoil(answer, f"{self.command} {self.path}")
        with suppress(OSError):  # who asked is gone
            self._tell(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = pass_on  # noqa: N815

    def _ask(self) -> Answer:
        far, near, there = self.between.far, self.between.near, urlsplit(self.between.far)
        asked = HTTPConnection(str(there.hostname), there.port, timeout=30)
        sent = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        asked.request(self.command, self.path, body=self._body() or None, headers=sent)
        got = asked.getresponse()
        streams = "event-stream" in (got.getheader("content-type") or "")
        body = _piece(asked, got) if streams else got.read()
        asked.close()
        told = [(k, v.replace(far, near)) for k, v in got.getheaders() if k.lower() not in _HOP]
        if "json" in (got.getheader("content-type") or ""):
            body = body.replace(far.encode(), near.encode())
        length = int(got.getheader("content-length") or 0) if self.command == "HEAD" else len(body)
        return Answer(got.status, told, body, length)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _tell(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(answer.length))
        if self.command != "HEAD" and answer.length != len(answer.body):
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def _piece(asked: HTTPConnection, got: HTTPResponse) -> bytes:
    """Return what a stream says in a moment: it is cut there, as bad lines do."""
    found = b""
    if asked.sock:
        asked.sock.settimeout(STREAM_SECONDS)
    with suppress(OSError):
        while piece := got.read1():
            found += piece
    return found


class _Quiet(ThreadingHTTPServer):
    """A server that says nothing of clients who hang up."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@contextmanager
def between(far: str) -> Iterator[Between]:
    """Yield a line before the Hub at `far`, which spoils nothing until it is told to."""
    line = Between(far)
    handler = type("Line", (_Line,), {"between": line})
    with _Quiet(("127.0.0.1", 0), handler) as server:
        line.near = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield line
        finally:
            server.shutdown()
