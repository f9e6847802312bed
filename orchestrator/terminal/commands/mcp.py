"""`hubtrain mcp`: the tools for assistants, on standard input and output."""

from __future__ import annotations

from importlib.util import find_spec

import click

from worker.errors import BadConfig
from worker.installing import install


@click.command("mcp")
def COMMAND() -> int:  # noqa: N802
    """Serve tools for assistants on stdio (MCP).

    An assistant that speaks the Model Context Protocol starts this command by itself, and may then
    check, rehearse, launch, follow and cancel jobs of yours. What costs it launches only with a
    bound on its money or its time. Ends with its input.
    """
    if find_spec("mcp") is None:
        raise BadConfig("what serves tools is not installed.", fix=install(("mcp",)))
    from orchestrator.app.mcp import serve_stdio

    serve_stdio()
    return 0
