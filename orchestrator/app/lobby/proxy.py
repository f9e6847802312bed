"""Passes a request on to the app of whoever sent it, and its answer back, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterable

import anyio
import httpx2
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from orchestrator.app.lobby.rooms import Room

ITS_OWN = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("authorization", "x-hf-authorization", "x-hubtrain-authorization"),
        *("cookie", "set-cookie", "forwarded", "x-space-pass-key"),
    }
)
"""Headers that concern one connection, or the lobby and the Hub alone."""

SILENCE = httpx2.Timeout(10.0, read=None, write=None)
"""A page may listen for as long as it is open."""


def client() -> httpx2.AsyncClient:
    """Return what asks the apps."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
    return httpx2.AsyncClient(timeout=SILENCE, trust_env=False, limits=limits)


class Passed(StreamingResponse):
    """An app's answer, on its way to whoever asked."""

    def __init__(self, answer: httpx2.Response, room: Room) -> None:
        super().__init__(answer.aiter_raw(), answer.status_code)
        self.raw_headers = [(k.lower(), v) for k, v in answer.headers.raw if _goes_on(k)]
        self._answer, self._room = answer, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, until all of it has gone or nobody listens any more."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._room.busy -= 1
            with anyio.CancelScope(shield=True):
                await self._answer.aclose()


async def passed_on(
    asking: httpx2.AsyncClient, request: Request, body: AsyncIterable[bytes] | None, room: Room
) -> Passed:
    """Return the answer of a user's app. Raises `httpx2.HTTPError` where it gives none.

    What the sender shows as a login goes no further; the app is shown its own key.
    """
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if _goes_on(name)
    ]
    sent = asking.build_request(
        request.method,
        _address(request, room.port),
        headers=[*headers, ("authorization", f"Bearer {room.key}")],
        content=body,
    )
    room.busy += 1
    try:
        answer = await asking.send(sent, stream=True)
    except BaseException:
        room.busy -= 1
        raise
    return Passed(answer, room)


def _address(request: Request, port: int) -> httpx2.URL:
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    query = request.scope["query_string"]
    whole = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return httpx2.URL(scheme="http", host="127.0.0.1", port=port, raw_path=whole)


def _goes_on(name: bytes) -> bool:
    known = name.decode("latin-1").lower()
    return known not in ITS_OWN and not known.startswith("x-forwarded-")
