"""The tools for assistants at `/mcp`, for those that reach the app and no terminal."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from mcp.server.transport_security import TransportSecuritySettings

from orchestrator.app.base import App
from orchestrator.app.mcp import server

PATH = "/mcp"


def mount(web: FastAPI, app: App) -> AbstractAsyncContextManager[Any]:
    """Add the address, and return what has to run while the app is served."""
    tools = server(lambda context: app.client)
    inner = tools.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        # The gate has looked already whether the app's user asks, by whatever address.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    web.router.routes.extend(inner.routes)
    return tools.session_manager.run()
