"""The verbs over HTTP: `/api/v1/NAME`, described by `/openapi.json`.

Each takes its request as JSON (POST); those that change nothing and take plain values alone also
take them from the address (GET). The gate stands before them: `Authorization: Bearer KEY`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api.answering import Answered, answered
from orchestrator.api.errors import Failure, failure
from orchestrator.api.verb import Caller, Verb
from orchestrator.api.verbs import VERBS
from orchestrator.app.base import App
from orchestrator.document import schema_of
from orchestrator.exits import MENDABLE
from worker.errors import BadConfig, HubUnreachable

ROOT = "/api/v1"

FAILURES: dict[int | str, dict[str, Any]] = {
    int(status): {"model": Failure}
    for status in (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
}
"""The statuses a call may fail with, as the OpenAPI document describes them."""


def mount(web: FastAPI, app: App) -> None:
    """Add an address for each verb."""
    for verb in VERBS.values():
        ways = ["POST", "GET"] if _fits_in_an_address(verb) else ["POST"]
        for way in ways:
            web.add_api_route(f"{ROOT}/{verb.name}", _route(app, verb), **_described(verb, way))


def _route(app: App, verb: Verb) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        try:
            given = await given_in(request)
        except BadConfig as error:
            return response(Answered(failure(error)))
        return response(await run_in_threadpool(answered, verb, Caller(app.client), given))

    return call


async def given_in(request: Request) -> dict[str, Any]:
    """Return what a request says: the object in its body, or what its address has. Raises
    `BadConfig`.
    """
    if request.method == "GET":
        return dict(request.query_params)
    body = await request.body()
    try:
        found = json.loads(body or b"{}")
        json.dumps(found, ensure_ascii=False).encode()  # halves of characters are no text
    except (ValueError, RecursionError) as error:  # a thousand brackets in each other
        raise BadConfig(f"what was sent is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise BadConfig("what was sent is JSON, but no object: give fields with their values.")
    return found


def response(done: Answered) -> Response:
    """Return what came of a call; its status says whose turn it is."""
    return Response(done.text, _status(done.failure), media_type="application/json")


def _status(wrong: Failure | None) -> HTTPStatus:
    if wrong is None:
        return HTTPStatus.OK
    if wrong.exit_code == MENDABLE:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    away = wrong.kind == HubUnreachable.__name__
    return HTTPStatus.SERVICE_UNAVAILABLE if away else HTTPStatus.INTERNAL_SERVER_ERROR


def _fits_in_an_address(verb: Verb) -> bool:
    fields = schema_of(verb.request).get("properties", {}).values()
    return not verb.changes and all(one.get("type") != "object" for one in fields)


def _described(verb: Verb, way: str) -> dict[str, Any]:
    """Return how a verb is described in the OpenAPI document."""
    schema = _whole(schema_of(verb.request))
    more: dict[str, Any] = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    if way == "GET":
        needed = schema.get("required", [])
        more = {
            "parameters": [
                {"name": name, "in": "query", "required": name in needed, "schema": one}
                for name, one in schema.get("properties", {}).items()
            ]
        }
    return {
        "methods": [way],
        "name": verb.name,
        "operation_id": f"{verb.name}_{way.lower()}",
        "description": verb.help,
        "openapi_extra": more,
        "responses": {200: {"model": verb.answer}, **FAILURES},
    }


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its parts in their places: in a larger document no reference to them
    leads anywhere."""
    parts = schema.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return put(parts[value["$ref"].rpartition("/")[2]])
        return {key: put(one) for key, one in value.items()}

    found: dict[str, Any] = put(schema)
    return found
