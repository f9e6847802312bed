"""The answer 404: browsers get a page with a link home, programs the plain response."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.show import colours, filled
from worker.show.crosssite import SAFE


class NotFound:
    """ASGI middleware: gives a browser a readable page for every 404 of the app behind it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, and replace the body of an answer 404 by the page."""
        if scope["type"] != "http" or not _is_of_a_person(Request(scope)):
            await self.app(scope, receive, send)
            return
        instead: Response | None = None

        async def sending(message: Message) -> None:
            nonlocal instead
            if message["type"] == "http.response.start":
                if message["status"] == HTTPStatus.NOT_FOUND:
                    instead = _page()
                    message = {**message, "headers": [*_kept(message), *instead.raw_headers]}
            elif instead is not None:
                message = {**message, "body": b"" if message.get("more_body") else instead.body}
            await send(message)

        await self.app(scope, receive, sending)


def _is_of_a_person(request: Request) -> bool:
    return request.method in SAFE and "text/html" in request.headers.get("accept", "")


def _kept(message: Message) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that do not describe its body."""
    return [(k, v) for k, v in message.get("headers", []) if not k.lower().startswith(b"content-")]


def _page() -> HTMLResponse:
    there = Path(__file__).parent / "not_found.html.jinja"
    style = colours(":root", ".dark")
    return HTMLResponse(filled(there, colours=style), HTTPStatus.NOT_FOUND)
