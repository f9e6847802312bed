"""Access control: a middleware before gradio that every request to the page passes.

It first refuses requests that another website sent (CSRF). Whoever may not see the job gets one
fixed sentence. Gradio's API, files and queue are behind it, so they need no protection of their
own. The last page, which works without a server, and the whole log are served from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.show import filled
from worker.show.crosssite import SAFE, from_here, with_headers
from worker.show.door import STRANGER, Door, Viewer

VIEWER = "hubtrain.viewer"
"""Key of the `Viewer` in a request's scope."""

BLOCK = 1 << 16
"""Bytes of the log that are sent at a time."""

SESSION = "session"
"""Cookie of whoever has signed in."""

LOGIN = ("/login/huggingface", "/login/callback", "/logout")
CLOSED = ("/file", "/upload", "/proxy", "/stream", "/component_server", "/monitoring")
"""Parts of gradio that this page does not use."""

HERE = Path(__file__).parent


class Guarded:
    """ASGI middleware, to be placed inside the session middleware: a gate before gradio."""

    def __init__(self, app: ASGIApp, *, gate: Gate) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is for strangers or not gradio's, and pass on the rest."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            answer = await self.gate.answer(Request(scope))
            framed = self.gate.door.sign_in
            await (answer or self.app)(scope, receive, with_headers(send, framed=framed))


class Gate:
    """Decides who is answered what. Where no session is read it leaves out those who have one."""

    def __init__(self, *, door: Door, log: Path, end: Callable[[str | None], str | None]) -> None:
        self.door, self.log, self.end = door, log, end

    async def answer(self, request: Request) -> Response | None:
        """Return the answer to a request; none where it is gradio's to give."""
        return await run_in_threadpool(self._answer, request)  # it may ask the Hub

    def _answer(self, request: Request) -> Response | None:
        path = request.url.path
        if not from_here(request):
            return Response(status_code=HTTPStatus.FORBIDDEN)
        if not self.door.is_address(request.headers):
            return self._elsewhere(request)
        if self.door.sign_in and (path in LOGIN or _unread(request)):
            return None
        if self.door.takes_key and (key := request.query_params.get("key")):
            return _let_in(self.door, key)
        viewer = self._viewer(request)
        if not viewer.may_look:
            return self._shut(path, viewer)
        request.scope[VIEWER] = viewer
        return self._own(request, path)

    def _elsewhere(self, request: Request) -> Response:
        """Answer a request to another address: redirect it to the page's own if it has the key."""
        door, key = self.door, request.query_params.get("key", "")
        if door.host and door.cookie_for(key) and request.method in SAFE:
            own = request.url.replace(hostname=door.host, path="/")
            return RedirectResponse(str(own), status_code=HTTPStatus.SEE_OTHER)
        return self._shut(request.url.path, STRANGER)

    def _own(self, request: Request, path: str) -> Response | None:
        """Return the answer to a viewer where it is not gradio's to give."""
        if any(part in path for part in CLOSED):
            return Response(status_code=HTTPStatus.NOT_FOUND)
        if path == "/log":
            return _as_it_is(self.log)
        if path in {"/", "/end"} and (end := self.end(request.query_params.get("of"))):
            return HTMLResponse(end)
        return RedirectResponse("./") if path == "/end" else None

    def _viewer(self, request: Request) -> Viewer:
        session = request.scope.get("session") or {}
        return self.door.viewer(request.cookies, session)

    def _shut(self, path: str, viewer: Viewer) -> Response:
        # `/` answers 200 to everybody, because the Hub checks there that the worker runs.
        status = HTTPStatus.OK if path == "/" else HTTPStatus.UNAUTHORIZED
        words = _closed(sign_in=self.door.sign_in, viewer=viewer.name)
        return HTMLResponse(words, status)


def _unread(request: Request) -> bool:
    """Whether a request tells of a session that nothing before this gate reads."""
    return SESSION in request.cookies and "session" not in request.scope


def _as_it_is(log: Path) -> Response:
    """Return the log as long as it is now: more than its length was told to be breaks an answer."""
    stream = log.open("rb")  # it may be begun anew meanwhile
    size = os.fstat(stream.fileno()).st_size
    return StreamingResponse(
        _first(stream, size),
        headers={"content-length": str(size)},
        media_type="text/plain; charset=utf-8",
    )


def _first(stream: BinaryIO, left: int) -> Iterator[bytes]:
    """Yield the first bytes of a file, however long it grows meanwhile."""
    with stream:
        while left and (block := stream.read(min(left, BLOCK))):
            left -= len(block)
            yield block


def viewer_of(request: Any) -> Viewer:
    """Return who sent a request that gradio hands to its functions; a stranger if it cannot say."""
    found = getattr(getattr(request, "request", None), "scope", {}).get(VIEWER)
    return found if isinstance(found, Viewer) else STRANGER


def _let_in(door: Door, key: str) -> Response:
    cookie = door.cookie_for(key)
    if cookie is None:
        return HTMLResponse(_closed(), HTTPStatus.UNAUTHORIZED)
    # Redirect, because browsers keep the address with the key in their history.
    answer = RedirectResponse("./", status_code=HTTPStatus.SEE_OTHER)
    answer.set_cookie(*cookie, httponly=True, samesite="strict")
    return answer


def _closed(*, sign_in: bool = False, viewer: str | None = None) -> str:
    """Return what somebody sees who may see nothing."""
    return filled(HERE / "door.html.jinja", sign_in=sign_in, viewer=viewer)
