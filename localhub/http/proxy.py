"""The addresses of Spaces and exposed Jobs: `ann-my-space.localhost:PORT` is the Space's own port.

Passes HTTP on piece by piece in both directions, and websockets. Takes away what is the Hub's
own: its token, its cookie. Who may come in is `localhub.http.entry`'s to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine

import httpx2
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from localhub.http.entry import COOKIE, Admission, admitted, closed
from localhub.hub import Hub
from localhub.runtime.doors import Door

HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("expect", "te", "trailer", "transfer-encoding", "upgrade"),
}
PASS_HEADER = "x-space-pass-key"
OF_THE_HANDSHAKE = {"host", "content-length"}
TIMEOUT = httpx2.Timeout(10.0, read=None, write=None)
MESSAGE_LIMIT = 64 << 20
"""Bytes of the longest websocket message."""

LOG = logging.getLogger("localhub")

Headers = list[tuple[str, str]]


def application(hub: Hub) -> ASGIApp:
    """Return what answers requests to `<subdomain>.localhost`."""
    client = httpx2.AsyncClient(
        timeout=TIMEOUT,
        trust_env=False,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope) if scope["type"] == "http" else WebSocket(scope, receive, send)
        subdomain = request.headers.get("host", "").partition(".localhost")[0].lower()
        entry = await run_in_threadpool(admitted, hub, request, subdomain)
        if isinstance(request, WebSocket):
            await _pass_websocket(request, entry)
        elif isinstance(entry, Response):
            await entry(scope, receive, send)
        else:
            await _pass_http(client, Request(scope, receive), entry.door, send)

    return app


async def _pass_http(client: httpx2.AsyncClient, request: Request, door: Door, send: Send) -> None:
    """Pass a request on and its answer back, until either side disconnects."""
    try:
        answer = await client.send(_onward(client, request, door), stream=True)
    except ClientDisconnect:
        return
    except httpx2.HTTPError:
        await closed(door)(request.scope, request.receive, send)
        return
    told = asyncio.create_task(_send_back(answer, send))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not told.done():
            told.cancel()
        await asyncio.gather(told, gone, return_exceptions=True)
        await answer.aclose()
    if not told.cancelled():
        told.result()


def _onward(client: httpx2.AsyncClient, request: Request, door: Door) -> httpx2.Request:
    path = (request.scope.get("raw_path") or request.scope["path"].encode()).partition(b"?")[0]
    query = request.scope["query_string"]
    headers = passed_on(request, door)
    sized = {"content-length", "transfer-encoding"} & set(request.headers)
    made = client.build_request(
        request.method,
        httpx2.URL(
            scheme="http",
            host="127.0.0.1",
            port=door.port,
            raw_path=path + (b"?" + query if query else b""),
        ),
        headers=headers,
        content=request.stream() if sized else None,
    )
    for name in set(made.headers) - {name.lower() for name, _ in headers} - {"transfer-encoding"}:
        del made.headers[name]
    return made


def passed_on(request: Request | WebSocket, door: Door) -> Headers:
    """Return the headers that a Space gets: the visitor's, without what is the Hub's own.

    With them goes the pass key of its door, by which it tells them from requests past the Hub.
    """
    kept = []
    for raw_name, raw_value in request.headers.raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in {*HOP_BY_HOP, PASS_HEADER}:
            continue
        if name == "authorization" and _is_ours(value):
            continue
        if name == "cookie":
            value = without_our_cookie(value)
            if not value:
                continue
        kept.append((name, value))
    host = request.headers.get("host", "")
    visitor = request.client.host if request.client else ""
    return [
        *((name, value) for name, value in kept if not name.startswith("x-forwarded-")),
        ("x-forwarded-for", visitor),
        ("x-forwarded-host", host),
        ("x-forwarded-proto", "http"),
        *([(PASS_HEADER, door.pass_key)] if door.pass_key else []),
    ]


def _is_ours(authorization: str) -> bool:
    return authorization.lower().startswith("bearer hf_")


def without_our_cookie(header: str) -> str:
    """Return a cookie header without the Hub's own cookies."""
    cookies = [cookie.strip() for cookie in header.split(";")]
    return "; ".join(one for one in cookies if one.partition("=")[0] not in {COOKIE, "token"})


async def _send_back(answer: httpx2.Response, send: Send) -> None:
    headers = [
        (name.lower(), value)
        for name, value in answer.headers.raw
        if name.lower().decode("latin-1") not in HOP_BY_HOP
    ]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    try:
        with contextlib.suppress(httpx2.StreamError):
            async for piece in answer.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except httpx2.HTTPError as error:
        LOG.warning("a Space ended in the middle of its answer: %s", error)
        return  # without its end, the visitor sees that something is missing
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(request: Request) -> None:
    """Return when the visitor has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


# websockets


async def _pass_websocket(visitor: WebSocket, entry: Admission | Response) -> None:
    """Carry messages both ways until one side closes."""
    if isinstance(entry, Response):
        await visitor.close(1008)
        return
    headers = [
        (name, value)
        for name, value in passed_on(visitor, entry.door)
        if name not in OF_THE_HANDSHAKE and not name.startswith("sec-websocket-")
    ]
    query = visitor.scope["query_string"].decode("latin-1")
    address = f"ws://127.0.0.1:{entry.door.port}{visitor.scope['path']}"
    try:
        async with connect(
            address + (f"?{query}" if query else ""),
            additional_headers=headers,
            subprotocols=[Subprotocol(name) for name in visitor.scope["subprotocols"]] or None,
            max_size=MESSAGE_LIMIT,
            proxy=None,
        ) as space:
            await visitor.accept(space.subprotocol)
            await _first_to_end(_to_space(visitor, space), _to_visitor(visitor, space))
    except (OSError, WebSocketException):
        with contextlib.suppress(RuntimeError):
            await visitor.close(1011)


async def _first_to_end(*ways: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _to_space(visitor: WebSocket, space: ClientConnection) -> None:
    while True:
        message = await visitor.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        await space.send(text if text is not None else message["bytes"])


async def _to_visitor(visitor: WebSocket, space: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed, WebSocketDisconnect):
        async for message in space:
            if isinstance(message, str):
                await visitor.send_text(message)
            else:
                await visitor.send_bytes(message)
    with contextlib.suppress(RuntimeError):
        await visitor.close(space.close_code or 1000)
