"""Injected faults: errors of the network or of a busy Hub, at a chosen request.

`Faults` keeps rules and a log of requests in memory; `broken` wraps the whole application,
counts matching requests and breaks those a rule names. A rule is JSON, and all it matches by is
optional; `agent` is what the client calls itself:

    {"match": {"method": "POST", "path": "regex", "host": "regex", "agent": "regex"},
     "nth": 1,            the first matching request that breaks
     "times": 1,          how many break from there on; null for ever
     "fault": one of
        {"status": 503, "retry_after": 1, "message": "…", "code": "…"}
        {"drop": true}                    the connection closes before anything happens
        {"drop": true, "after": true}     it happens, and the answer is lost
        {"delay": 2.5}                    seconds before anything happens
        {"drop_stream_after": 3}          the connection closes after three SSE events
        {"drop_after_bytes": 1000}}       … or after so many bytes of the answer
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.errors import Refusal, bad_request

KEPT_REQUESTS = 20_000
KINDS = ("status", "drop", "delay", "drop_stream_after", "drop_after_bytes")


@dataclass
class Rule:
    """One fault and the requests it waits for."""

    number: int
    match: dict[str, str]
    fault: dict[str, Any]
    nth: int = 1
    times: int | None = 1
    matched: int = 0
    happened: int = 0

    def names(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        """Return whether a request is one of those the rule is about."""
        host, agent = (headers.get(n, b"").decode("latin-1") for n in (b"host", b"user-agent"))
        method = self.match.get("method") or str(scope["method"])
        return (
            method.upper() == scope["method"]
            and re.search(self.match.get("path", ""), scope["path"]) is not None
            and re.search(self.match.get("host", ""), host) is not None
            and re.search(self.match.get("agent", ""), agent) is not None
        )

    def count(self) -> bool:
        """Count one more match and return whether it is to break."""
        self.matched += 1
        last = None if self.times is None else self.nth + self.times
        if self.matched < self.nth or (last is not None and self.matched >= last):
            return False
        self.happened += 1
        return True


@dataclass
class Record:
    """One request, as tests read it."""

    method: str
    path: str
    query: str
    host: str
    at: float
    status: int = 0
    user: str | None = None
    received_bytes: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    fault: dict[str, Any] | None = None


@dataclass
class Faults:
    """The rules, and a log of all requests. Thread-safe."""

    rules: list[Rule] = field(default_factory=list)
    log: deque[Record] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: int = 0

    def add(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take in a rule and return it; 400 if it makes no sense."""
        fault = body.get("fault")
        if not isinstance(fault, dict) or not set(fault) & set(KINDS):
            raise bad_request(f"A fault is one of: {', '.join(KINDS)}")
        with self.lock:
            self.numbers += 1
            rule = Rule(
                self.numbers,
                body.get("match") or {},
                fault,
                int(body.get("nth", 1)),
                body.get("times", 1),
            )
            self.rules.append(rule)
        return vars(rule)

    def cut_after(self, scope: Scope) -> int | None:
        """Return after how many events this request's stream is to end, None for never."""
        found: int | None = scope.get("state", {}).get("cut_after")
        return found

    def every(self) -> list[dict[str, Any]]:
        """Return all rules and how often they matched and happened."""
        return [dict(vars(rule)) for rule in self.rules]

    def clear(self) -> None:
        """Drop all rules."""
        with self.lock:
            self.rules.clear()

    def requests(self, path: str = "", method: str = "") -> list[dict[str, Any]]:
        """Return the requests whose path matches, the oldest first."""
        return [
            dict(vars(record))
            for record in list(self.log)
            if re.search(path, record.path) and method in ("", record.method)
        ]

    def forget(self) -> None:
        """Empty the log."""
        self.log.clear()

    def due(self, scope: Scope) -> dict[str, Any] | None:
        """Return the fault of this request, if any; every rule that matches counts it."""
        headers = dict(scope["headers"])
        with self.lock:
            breaking = [r for r in self.rules if r.names(scope, headers) and r.count()]
        return breaking[0].fault if breaking else None


def broken(app: ASGIApp, faults: Faults) -> ASGIApp:
    """Return `app` with the faults that were asked for, and with its requests logged."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_local/"):
            await app(scope, receive, send)
            return
        await Exchange(app, faults, scope, receive, send).run()

    return wrapped


class Exchange:
    """One request and its answer, watched and perhaps broken."""

    def __init__(
        self, app: ASGIApp, faults: Faults, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.app, self.scope, self._receive, self._send = app, scope, receive, send
        self.record = Record(
            method=scope["method"],
            path=scope["path"],
            query=scope.get("query_string", b"").decode("latin-1"),
            host=dict(scope["headers"]).get(b"host", b"").decode("latin-1"),
            at=time.time(),
        )
        self.fault = faults.due(scope) or {}
        self.record.fault = self.fault or None
        scope.setdefault("state", {})["cut_after"] = self.fault.get("drop_stream_after")
        self.bytes_left: int | None = self.fault.get("drop_after_bytes")
        self.cut = False
        faults.log.append(self.record)

    async def run(self) -> None:
        """Answer the request, with the fault if there is one."""
        started = time.monotonic()
        try:
            if "delay" in self.fault:
                await asyncio.sleep(float(self.fault["delay"]))
            if self.fault.get("drop") and not self.fault.get("after"):
                await self.hang_up()
            elif "status" in self.fault:
                await self.refuse()
            else:
                await self.app(self.scope, self.receive, self.send)
        finally:
            self.record.user = self.scope["state"].get("user")
            self.record.seconds = time.monotonic() - started

    async def refuse(self) -> None:
        """Answer with the fault's status; the body is read first, as a busy proxy would."""
        while (await self.receive()).get("more_body"):
            pass
        status = int(self.fault["status"])
        headers = {}
        if "retry_after" in self.fault:
            headers["Retry-After"] = str(self.fault["retry_after"])
        message = str(self.fault.get("message") or f"This fault was asked for ({status})")
        refusal = Refusal(status, message, code=self.fault.get("code", ""), headers=headers)
        await refusal.response()(self.scope, self._receive, self.send)

    async def receive(self) -> Message:
        """Pass on a piece of the request, counted."""
        message = await self._receive()
        self.record.received_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on a piece of the answer, up to where it is to break off."""
        if self.cut:
            return
        if message["type"] == "http.response.start":
            self.record.status = message["status"]
        ends = message["type"] == "http.response.body" and not message.get("more_body")
        if self.fault.get("drop"):
            if ends:
                await self.hang_up()
            return
        if ends and "drop_stream_after" in self.fault:
            await self._send({**message, "more_body": True})
            await self.hang_up()
            return
        body = message.get("body", b"")
        allowed = self.allowed(body)
        self.record.sent_bytes += len(body[:allowed])
        if allowed is None:
            await self._send(message)
            return
        await self._send({**message, "body": body[:allowed], "more_body": True})
        await self.hang_up()

    def allowed(self, body: bytes) -> int | None:
        """Return how many bytes of a piece still go out if the answer is to break off in it."""
        if self.bytes_left is not None:
            self.bytes_left -= len(body)
            if self.bytes_left < 0:
                return len(body) + self.bytes_left
        return None

    async def hang_up(self) -> None:
        """Close the connection under the answer, once what was written has left."""
        self.cut = True
        # The server's own object is the only way to its socket; ASGI has no word for this.
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is None:
            return
        for _ in range(50):
            if transport.get_write_buffer_size() == 0:
                break
            await asyncio.sleep(0.01)
        transport.abort()
        while (await self._receive())["type"] != "http.disconnect":
            pass
