"""Rate limits: how many requests each caller has left, sent with every answer of the API."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from email.utils import formatdate
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.errors import Refusal, request_id
from localhub.hub import Hub

WINDOW_SECONDS = 300


class Window:
    """Requests of every caller in the present window of five minutes."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.began = 0.0
        self.counts: dict[str, int] = defaultdict(int)

    def count(self, who: str, now: float) -> tuple[int, int]:
        """Count one request; return how many are left and the seconds until the next window."""
        if now - self.began >= WINDOW_SECONDS:
            self.began = now
            self.counts.clear()
        self.counts[who] += 1
        return self.quota - self.counts[who], int(self.began + WINDOW_SECONDS - now)


def limited(app: ASGIApp, hub: Hub) -> ASGIApp:
    """Return `app` with a request id on every answer and the Hub's limits on its API.

    It also adds the `Date` header, by which clients tell earlier lines of a log from new ones.
    """
    window = Window(hub.options.api_quota)

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        extra = [(b"x-request-id", request_id().encode())]
        left = 0
        if scope["path"].startswith("/api/"):
            left, seconds = window.count(_who(scope), time.monotonic())
            said = f'"api";r={max(left, 0)};t={seconds}'
            policy = f'"fixed window";"api";q={window.quota};w={WINDOW_SECONDS}'
            extra += [(b"ratelimit", said.encode()), (b"ratelimit-policy", policy.encode())]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *extra]
                if not any(name.lower() == b"date" for name, _ in headers):
                    headers.append((b"date", formatdate(usegmt=True).encode()))
                message = {**message, "headers": headers}
            await send(message)

        answer = app if left >= 0 else _TOO_MANY.response()
        await answer(scope, receive, with_headers)

    return wrapped


_TOO_MANY = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "We had to rate limit you. Try again later, or ask for fewer things at once.",
)


def _who(scope: Scope) -> str:
    said = dict(scope["headers"]).get(b"authorization", b"")
    return hashlib.sha256(said).hexdigest()
