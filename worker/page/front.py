"""What visitors of the page reach first. Gradio is loaded for the first of them who may see it.

Loading it takes seconds of a processor's work, which a trainer that starts has better use for. The
Hub's checks, strangers, the log and the end of a job need none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from worker.page.gate import Gate
from worker.show.crosssite import with_headers

if TYPE_CHECKING:
    from fastapi import FastAPI

LOOK_SECONDS = 0.2
"""How often it is seen whether a job has ended whose page is being loaded."""


class Front:
    """ASGI application for `http` alone: `gate` answers until somebody needs what `load` makes.

    That has the same gate before it, inside what reads sessions, and answers everything after.
    """

    def __init__(self, gate: Gate, load: Callable[[], FastAPI]) -> None:
        self._gate, self._load = gate, load
        self._page: asyncio.Task[FastAPI] | None = None
        self._running: AbstractAsyncContextManager[Any] | None = None
        self.waiting = 0
        """Requests without an answer of which gradio does not know yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.waiting += 1
        try:
            if answer := await self._without_gradio(Request(scope)):
                framed = self._gate.door.sign_in
                await answer(scope, receive, with_headers(send, framed=framed))
                return
            page = await self._loaded()
        finally:
            self.waiting -= 1
        await page(scope, receive, send)

    async def _without_gradio(self, request: Request) -> Response | None:
        """Return the answer to a request; none once gradio is there for one that needs it."""
        while self._page is None or not self._page.done():
            if answer := await self._gate.answer(request):
                return answer
            await asyncio.wait({self._loaded()}, timeout=LOOK_SECONDS)
        return None

    def _loaded(self) -> asyncio.Task[FastAPI]:
        if self._page is None:
            self._page = asyncio.create_task(self._made())
        return self._page

    async def _made(self) -> FastAPI:
        made = await run_in_threadpool(self._load)
        self._running = made.router.lifespan_context(made)
        await self._running.__aenter__()
        return made
