"""Access control: a middleware that every request to the app passes, whatever it is for.

It refuses what another website sent (CSRF). On this machine the key in the first address lets its
user in, and a cookie afterwards; under an address that others reach, a password does. Programs show
either as `Authorization: Bearer …`. Whoever has neither gets one sentence.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.app.base import LOGOUT
from worker.show import filled
from worker.show.crosssite import SAFE, from_here, is_led, with_headers
from worker.show.door import KeyDoor

HERE = Path(__file__).parent

CLOSED = ("/proxy=", "/component_server", "/monitoring", "/stream/")
"""Parts of gradio that no page uses."""

FOR_PROGRAMS = ("/api/", "/ui/", "/mcp")
"""Addresses that act when they are opened: no link on another page leads there."""

LOGIN = "/login"
WRONG_SECONDS = 1.0
"""What a wrong password takes, however it is sent. The next waits for it: nobody tries many."""

LONGEST = 4096
"""Bytes of a login that are read."""


class Door:
    """What opens the app: `secret` is the key on this machine, or the password for others."""

    def __init__(self, secret: str, *, password: bool) -> None:
        self.password = password
        """Whether people type it, and come by any address of this machine."""

        self._secret = secret
        self._here = KeyDoor(secret, "app")
        self._token = secrets.token_urlsafe(24)

    @property
    def host(self) -> str | None:
        """The app's own host name (`KeyDoor.host`); none where it has several."""
        return None if self.password else self._here.host

    @property
    def cookie(self) -> tuple[str, str]:
        """Name and value of what a browser shows afterwards.

        Behind a password it is a new one whenever the app is started, so that nobody learns from
        it what was typed.
        """
        shown = self._token if self.password else self._here.proof
        return self._here.cookie, shown

    def opens(self, said: str) -> bool:
        """Whether this is the key, or the password."""
        return _same(said, self._secret)

    def knows(self, request: Request) -> bool:
        """Whether a request has the cookie of somebody who was let in."""
        name, value = self.cookie
        return self.is_address(request) and _same(request.cookies.get(name, ""), value)

    def is_address(self, request: Request) -> bool:
        """Whether a request came by an address of the app's."""
        return self.password or self._here.is_address(request.headers)


def _same(one: str, other: str) -> bool:
    digests = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (one, other))
    return hmac.compare_digest(*digests)


class Gate:
    """ASGI middleware around all of the app."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self.app, self.door = app, door
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is for strangers, and pass on the rest."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope, receive)
            answer = await self._answer(request)
            await (answer or self.app)(scope, receive, with_headers(send, framed=False))

    async def _answer(self, request: Request) -> Response | None:
        path, door = request.url.path, self.door
        acts = path == LOGOUT or path.startswith(FOR_PROGRAMS)
        if not from_here(request) or (acts and is_led(request)):
            return Response(status_code=HTTPStatus.FORBIDDEN)
        if door.password and path == LOGIN and request.method == "POST":
            return await self._login(request)
        if not door.password and (key := request.query_params.get("key")):
            return self._with_key(request, key)
        return self._inside(path) if await self._lets_in(request) else self._shut()

    async def _lets_in(self, request: Request) -> bool:
        """Whether the one who sent a request has shown the key, the password or the cookie."""
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._opens(said.strip())
        return self.door.knows(request)

    async def _opens(self, said: str) -> bool:
        """Whether this is the key, which nobody guesses, or the password."""
        if not self.door.password:
            return self.door.opens(said)
        async with self._one_at_a_time:
            opens = self.door.opens(said)
            if not opens:
                await asyncio.sleep(WRONG_SECONDS)
        return opens

    def _inside(self, path: str) -> Response | None:
        """Return the answer to the app's user where nobody else gives it."""
        if path == LOGOUT:
            return _signed_out(self.door)
        if any(part in path for part in CLOSED):
            return Response(status_code=HTTPStatus.NOT_FOUND)
        return None

    def _with_key(self, request: Request, key: str) -> Response:
        """Let in whoever has the key: under the app's own host name, and without it in sight."""
        door = self.door
        if not door.opens(key) or request.method not in SAFE:
            return self._shut()
        if not door.is_address(request):
            there = request.url.replace(hostname=door.host)
            return RedirectResponse(str(there), HTTPStatus.SEE_OTHER)
        rest = request.url.remove_query_params("key")
        return _let_in(door, f"{rest.path}?{rest.query}" if rest.query else rest.path, request)

    async def _login(self, request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST:
                return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        said = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        if not await self._opens(said):
            return self._shut(wrong=True)
        return _let_in(self.door, "/", request)

    def _shut(self, *, wrong: bool = False) -> Response:
        told = filled(HERE / "door.html.jinja", password=self.door.password, wrong=wrong)
        return HTMLResponse(told, HTTPStatus.UNAUTHORIZED)


def _let_in(door: Door, path: str, request: Request) -> Response:
    answer = RedirectResponse(f"/{path.lstrip('/')}", HTTPStatus.SEE_OTHER)
    secure = request.url.scheme == "https"
    answer.set_cookie(*door.cookie, httponly=True, samesite="strict", secure=secure)
    return answer


def _signed_out(door: Door) -> Response:
    answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(door.cookie[0])
    return answer
