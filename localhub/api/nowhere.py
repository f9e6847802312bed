"""404 answers for names and paths that do not exist. Its routes come last but for the pages."""

from __future__ import annotations

from http import HTTPStatus
from typing import NoReturn

from starlette.routing import BaseRoute, Route

from localhub.errors import Refusal, repo_not_found
from localhub.http.call import Call, endpoint
from localhub.hub import Hub

KINDS = ("models", "datasets", "spaces")


def routes(hub: Hub) -> list[BaseRoute]:
    """Return routes for ids without an owner, such as `gpt2`, and for the rest of the API."""
    no_repo, no_page = endpoint(hub, unowned), endpoint(hub, nowhere)
    methods = ["GET", "POST", "PUT", "DELETE"]
    return [
        Route("/api/{kind}/{name}", no_repo),
        *(
            Route(f"/api/{{kind}}/{{name}}/{verb}/{{rest:path}}", no_repo, methods=methods)
            for verb in ("revision", "tree", "paths-info", "preupload", "commit", "auth-check")
        ),
        Route("/{name}/{verb}/{rev}/{rest:path}", no_repo),
        Route("/api/{rest:path}", no_page, methods=methods),
    ]


def unowned(call: Call) -> NoReturn:
    """Refuse an id without an owner as a repo that is not there."""
    if call.param("kind", "models") in KINDS and call.param("verb", "resolve") == "resolve":
        raise repo_not_found(anonymous=call.caller.name is None)
    nowhere(call)


def nowhere(call: Call) -> NoReturn:
    """Answer 404 for any other path."""
    path = call.request.url.path
    raise Refusal(HTTPStatus.NOT_FOUND, f"This local Hub has no {path}: see docs/local-hub.md")
