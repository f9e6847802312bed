"""Access control: a middleware before gradio that every request to the page passes.

It first refuses requests that another website sent (CSRF). Whoever may not see the job gets one
fixed sentence. Gradio's API, files and queue are behind it, so they need no protection of their
own. The last page, which works without a server, and the whole log are served from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.host.door import STRANGER, Door, Viewer

VIEWER = "hubtrain.viewer"
"""Key of the `Viewer` in a request's scope."""

BLOCK = 1 << 16
"""Bytes of the log that are sent at a time."""

SAFE = ("GET", "HEAD")
NAVIGATION = ("document", "iframe")
"""`Sec-Fetch-Dest` when a person follows a link, or the Hub shows a Space."""

LOGIN = ("/login/huggingface", "/login/callback", "/logout")
CLOSED = ("/file", "/upload", "/proxy", "/stream", "/component_server", "/monitoring")
"""Parts of gradio that this page does not use."""

_HEADERS = {
    # Nothing is loaded from other servers: fonts, scripts and pictures come with the page.
    "content-security-policy": "default-src 'self' data: blob:; style-src 'self' 'unsafe-inline';"
    " script-src 'self' 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self' https://huggingface.co",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_CORS = b"access-control-"

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=False)


def template(name: str, **values: Any) -> str:
    """Return one of this folder's templates, filled."""
    return _TEMPLATES.get_template(name).render(**values)


class Gate:
    """ASGI middleware, to be placed inside the session middleware, whose session it reads."""

    def __init__(
        self, app: ASGIApp, *, door: Door, log: Path, end: Callable[[str | None], str | None]
    ) -> None:
        self.app, self.door, self.log, self.end = app, door, log, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is for strangers or not gradio's, and pass on the rest."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope)
            answer = await run_in_threadpool(self._answer, request)  # it may ask the Hub
            await (answer or self.app)(scope, receive, with_headers(send))

    def _answer(self, request: Request) -> Response | None:
        path = request.url.path
        if not from_here(request):
            return Response(status_code=HTTPStatus.FORBIDDEN)
        if not self.door.is_address(request.headers):
            return self._elsewhere(request)
        if self.door.sign_in and path in LOGIN:
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
        words = template("door.html.jinja", sign_in=self.door.sign_in, viewer=viewer.name)
        return HTMLResponse(words, status)


def _as_it_is(log: Path) -> Response:
    """Return the log as long as it is now: more than its length was told to be breaks an answer."""
    size = log.stat().st_size
    return StreamingResponse(
        _first(log, size),
        headers={"content-length": str(size)},
        media_type="text/plain; charset=utf-8",
    )


def _first(file: Path, left: int) -> Iterator[bytes]:
    """Yield the first bytes of a file, however long it grows meanwhile."""
    with file.open("rb") as stream:
        while left and (block := stream.read(min(left, BLOCK))):
            left -= len(block)
            yield block


def viewer_of(request: Any) -> Viewer:
    """Return who sent a request that gradio hands to its functions; a stranger if it cannot say."""
    found = getattr(getattr(request, "request", None), "scope", {}).get(VIEWER)
    return found if isinstance(found, Viewer) else STRANGER


def from_here(request: Request) -> bool:
    """Whether this page sent a request, or a person opened it, and not another page in its name.

    Browsers say so in `Sec-Fetch-Site`. Old ones do not, but they name the origin of what is not
    safe; programs that are no browsers name neither.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        return request.method in SAFE or _own_origin(request)
    if site in {"none", "same-origin"}:
        return True
    opened = request.headers.get("sec-fetch-mode") == "navigate"
    into = request.headers.get("sec-fetch-dest")
    return request.method in SAFE and opened and into in NAVIGATION


def _own_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    hosts = (request.headers.get(name) for name in ("host", "x-forwarded-host"))
    return origin is None or urlsplit(origin).netloc in set(filter(None, hosts))


def _let_in(door: Door, key: str) -> Response:
    cookie = door.cookie_for(key)
    if cookie is None:
        return HTMLResponse(template("door.html.jinja", sign_in=False), HTTPStatus.UNAUTHORIZED)
    # Redirect, because browsers keep the address with the key in their history.
    answer = RedirectResponse("./", status_code=HTTPStatus.SEE_OTHER)
    answer.set_cookie(*cookie, httponly=True, samesite="strict")
    return answer


def with_headers(send: Send) -> Send:
    """Return `send` with headers that keep other servers and other sites out of what it sends."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            # Remove the CORS headers by which gradio lets other local origins read its answers.
            kept = [h for h in message.get("headers", []) if not h[0].lower().startswith(_CORS)]
            message["headers"] = [*kept, *own]
        await send(message)

    return sending
