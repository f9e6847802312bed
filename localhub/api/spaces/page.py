"""The Hub's own page of a Space, which sends browsers on to the Space's address.

Whoever the Hub knows by its session gets a ticket on the way, which the Space's address asks for
if the Space is private.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route

from localhub.errors import Refusal
from localhub.http.call import Answer, Call, endpoint
from localhub.http.entry import SIGN, not_found
from localhub.http.tickets import DAY, MINUTE, ticket
from localhub.hub import Hub
from localhub.runtime.spaces.environment import host
from localhub.storage.repos import Repo


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the paths of this room."""
    return [
        Route("/spaces/{ns}/{name}", endpoint(hub, _page), methods=["GET"]),
        Route("/api/spaces/{ns}/{name}/jwt", endpoint(hub, _jwt), methods=["GET"]),
    ]


def sign(hub: Hub, repo: Repo, user: str, seconds: int) -> str:
    """Return the ticket that lets `user` into a Space's address."""
    return ticket(hub, f"space-{repo.id}/sign", user, seconds)


def _page(call: Call) -> Answer:
    try:
        repo = call.repo("space")
    except Refusal as refusal:
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            back = quote(call.request.scope["path"], safe="")
            return RedirectResponse(f"/login?next={back}", HTTPStatus.FOUND)
        if refusal.status == HTTPStatus.NOT_FOUND:
            return not_found()
        raise
    where = f"http://{host(call.hub, repo)}/"
    if call.caller.name is not None:
        where += f"?{SIGN}={sign(call.hub, repo, call.caller.name, MINUTE)}"
    return RedirectResponse(where, HTTPStatus.FOUND)


def _jwt(call: Call) -> Answer:
    repo = call.repo("space")
    return {"token": sign(call.hub, repo, call.need_user(), DAY)}
