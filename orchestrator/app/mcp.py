"""The verbs as tools of the Model Context Protocol, for assistants: on stdio, or in the app.

A tool's schemas are those of its request and its answer. What goes wrong is an answer too, with
`is_error` and a `Failure` as its content. What costs is only launched with a cap.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

import worker
from orchestrator.api.answering import answered
from orchestrator.api.verb import Caller, Verb
from orchestrator.api.verbs import VERBS
from orchestrator.document import schema_of
from orchestrator.jobs.client import Client

INSTRUCTIONS = """hubtrain trains models on rented machines.
Call `tasks`, then `settings` of one, then `check` until `ok`; `compare` says what it would cost
where. `rehearse` tries a job that rents a machine, for nothing. `train` launches it; what costs
needs `max_cost` or `max_duration` among its settings. Follow it with `job` (`wait_seconds`) and
`logs`; `cancel` stops it and what it costs. `check_sweep` and `start_sweep` (`max_cost` bounds all
of it) do the same for many settings of one job. `check_deployment` and `deploy` let a trained model
answer on a page; what costs needs `max_usd_per_hour`. An answer with isError has `problems`: each
says what is wrong, where, and what mends it. Paths are those of the machine that hubtrain runs on:
give them whole."""

Context = ServerRequestContext[Any, Any]
"""What is known of one request."""


def server(client_of: Callable[[Context], Client]) -> Server[Any]:
    """Return the server of all tools; `client_of` tells whose jobs a request is about."""

    async def list_tools(context: Context, params: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(verb) for verb in VERBS.values() if verb.tool])

    async def call_tool(
        context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        verb = VERBS.get(params.name)
        if verb is None or not verb.tool:
            there = ", ".join(name for name, one in VERBS.items() if one.tool)
            raise MCPError(types.INVALID_PARAMS, f"no tool {params.name!r}; there are: {there}")
        caller = Caller(client_of(context), needs_cap=True, on_progress=_Progress(context))
        do = partial(answered, verb, caller, params.arguments or {})
        done = await anyio.to_thread.run_sync(do, abandon_on_cancel=True)
        return types.CallToolResult(
            content=[types.TextContent(text=done.text)],
            structured_content=json.loads(done.text),
            is_error=done.failure is not None,
        )

    return Server(
        "hubtrain",
        version=worker.__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve_stdio() -> None:
    """Serve this user's jobs on standard input and output, until the input ends."""

    async def run() -> None:
        tools = server(lambda context: Client())
        async with stdio_server() as (read, write):
            await tools.run(read, write, tools.create_initialization_options())

    anyio.run(run)


def _tool(verb: Verb) -> types.Tool:
    """Return a verb as assistants are told of it."""
    return types.Tool(
        name=verb.name,
        description=verb.help,
        input_schema=schema_of(verb.request),
        output_schema=schema_of(verb.answer),
        annotations=types.ToolAnnotations(
            read_only_hint=not verb.changes,
            destructive_hint=verb.removes,
            idempotent_hint=True,  # the same call again is the same job
            open_world_hint=True,
        ),
    )


class _Progress:
    """Tells the client how far a call is, each step once: it may then wait longer."""

    def __init__(self, context: Context) -> None:
        self._context, self._last, self._steps = context, "", 0

    def __call__(self, what: str, done: float | None) -> None:
        said = what if done is None else f"{what} {done:.0%}"
        if said == self._last:
            return
        self._last, self._steps = said, self._steps + 1
        tell = partial(self._context.session.report_progress, self._steps, message=said)
        anyio.from_thread.run(tell)
