"""Other websites: none may act in a visitor's name (CSRF), and no page loads anything from them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Send

SAFE = ("GET", "HEAD")
NAVIGATION = ("document", "iframe")
"""`Sec-Fetch-Dest` when a person follows a link, or the Hub shows a Space."""

# Nothing is loaded from other servers: fonts, scripts and pictures come with the page.
_POLICY = (
    "default-src 'self' data: blob:; style-src 'self' 'unsafe-inline';"
    " script-src 'self' 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'"
)
_HUB = " https://huggingface.co"
_HEADERS = {
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_CORS = b"access-control-"


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


def is_led(request: Request) -> bool:
    """Whether a page of another site, or of another port, led a person here."""
    return request.headers.get("sec-fetch-site") in {"same-site", "cross-site"}


def _own_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    hosts = (request.headers.get(name) for name in ("host", "x-forwarded-host"))
    return origin is None or urlsplit(origin).netloc in set(filter(None, hosts))


def with_headers(send: Send, *, framed: bool) -> Send:
    """Return `send` with headers that keep other servers and other sites out of what it sends.

    The Hub shows a Space in a frame of its page; with `framed` it may.
    """
    policy = _POLICY + _HUB * framed
    headers = {**_HEADERS, "content-security-policy": policy}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in headers.items()]
            # Remove the CORS headers by which gradio lets other local origins read its answers.
            kept = [h for h in message.get("headers", []) if not h[0].lower().startswith(_CORS)]
            message["headers"] = [*kept, *own]
        await send(message)

    return sending
