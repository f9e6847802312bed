"""How a log that grows (`localhub.runtime.logs`) is streamed: server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

KEEP_ALIVE = 30.0
"""Seconds of silence after which a comment shows that the connection lives."""


def event_stream(
    events: AsyncIterator[bytes | None],
    *,
    kind: str = "",
    keep_alive: float = KEEP_ALIVE,
    cut_after: int | None = None,
) -> StreamingResponse:
    """Return the answer that sends `events` as they come and comments while there are none.

    Clients tell earlier events from new ones by the `Date` header, which `limits` adds. `cut_after`
    is how many events are sent before the connection is dropped; `faults` does that at an early
    end.
    """
    headers = {
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",
    }
    sent = _sent(events, f"event: {kind}\n".encode() if kind else b"", keep_alive, cut_after)
    return StreamingResponse(sent, media_type="text/event-stream", headers=headers)


async def _sent(
    events: AsyncIterator[bytes | None], kind: bytes, keep_alive: float, cut_after: int | None
) -> AsyncIterator[bytes]:
    """Yield what goes over the wire."""
    spoke = time.monotonic()
    left = cut_after
    yield b": connected\n\n"
    async for event in events:
        if left == 0:
            return
        if event is not None:
            left = None if left is None else left - 1
            yield kind + b"data: " + event + b"\n\n"
            spoke = time.monotonic()
        elif time.monotonic() - spoke > keep_alive:
            yield b": keep-alive\n\n"
            spoke = time.monotonic()
