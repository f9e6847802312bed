"""The whole Hub as one ASGI application, put together from rooms.

A room is a module. It offers

    def routes(hub: Hub) -> list[BaseRoute]      its paths; rooms are asked in the order of ROOMS
    async def start(hub: Hub) -> None            optional: resume what was running, start tasks
    async def stop(hub: Hub) -> None             optional: end what it runs; called at SIGTERM

and subscribes in `routes` to what it reacts to (`hub.on_create`, `on_commit`, `on_info`,
`on_delete`, `on_move`; see `localhub.hub`). What a room can rely on:

    hub.store        `add_schema(ddl)`, `db()` to read, `with write() as db` for a transaction,
                     `after_commit(call)`
    hub.content      `files_at(repo.id, sha) -> {path: Blob}`, `read(repo.id, sha, path)`,
                     `checkout(repo.id, sha, folder)`, `sha(repo.id, revision)`
    hub.buckets      `files(repo.id)`, `put`, `remove`
    hub.repos        `find(type, "ns/name")`, `by_id`, `list(type)`
    hub.accounts     `caller(request)`, `find(name)`, `caller_of(user)`, `session_user(cookie)`
    hub.faults       `cut_after(scope)`: events after which this stream is to end
    hub.data, hub.clock, hub.endpoint, hub.port, hub.loop, hub.secret(name), hub.options

Handlers are plain functions of one `Call`, wrapped by `localhub.http.call.endpoint(hub, handler)`:
they run in worker threads and may block, return JSON or a Response, and raise `Refusal`s.
`call.repo("space", write=True)` finds the repo of the path parameters `ns` and `name` and
checks the caller. Streams (SSE, proxies) write their own async endpoints.

Requests to `<subdomain>.localhost` go to `localhub.http.proxy.application(hub)`, an ASGI
application, and to no room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from types import ModuleType
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from localhub.faults import broken
from localhub.http import proxy
from localhub.http.limits import limited
from localhub.hub import Hub

ROOMS = (
    "localhub.api.admin",
    "localhub.api.identity",
    "localhub.api.webhooks",
    "localhub.api.spaces",
    "localhub.api.jobs",
    "localhub.api.endpoints",
    "localhub.api.oauth",
    "localhub.api.buckets",
    "localhub.api.repos",
    "localhub.api.files",
    "localhub.api.revisions",
    "localhub.api.commits",
    "localhub.api.discussions",
    "localhub.api.lfs",
    "localhub.api.reconstructions",
    "localhub.api.xet",
    "localhub.api.git",
    "localhub.api.resolve",
    "localhub.api.info",
    "localhub.api.storage",
    "localhub.api.nowhere",
    "localhub.api.pages",
)


def application(hub: Hub) -> ASGIApp:
    """Return the Hub's application: rooms, Spaces by host name, and faults around both."""
    rooms = [import_module(name) for name in ROOMS]
    site = Starlette(
        routes=[route for room in rooms for route in room.routes(hub)],
        lifespan=_lifespan(hub, rooms),
    )
    return broken(limited(by_host(site, proxy.application(hub)), hub), hub.faults)


def _lifespan(
    hub: Hub, rooms: list[ModuleType]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            for room in rooms:
                if hasattr(room, "stop"):
                    stack.push_async_callback(room.stop, hub)
                if hasattr(room, "start"):
                    await room.start(hub)
            yield

    return lifespan


def by_host(site: ASGIApp, spaces: ASGIApp) -> ASGIApp:
    """Return an application that sends `<subdomain>.localhost` to `spaces`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
            if host.endswith(".localhost"):
                await spaces(scope, receive, send)
                return
            scope["path"] = _path(scope)
        await site(scope, receive, send)

    return app


def _path(scope: Scope) -> str:
    """Return the path decoded but for `%2F`, which separates nothing: `refs%2Fpr%2F1`."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    text = raw.partition(b"?")[0].decode("latin-1")
    return unquote(text.replace("%2F", "%252F").replace("%2f", "%252F"))
