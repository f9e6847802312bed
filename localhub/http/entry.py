"""Access to the address of a private Space, and how a browser is authenticated there.

A program sends its `hf_` token. A browser comes from the Hub's own page, which knows it by its
session and sends it on with a short-lived ticket in `?__sign=`; here that becomes a cookie of
the Space's address, and permission is asked again at every request.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response

from localhub.auth.caller import NOBODY, Caller
from localhub.http.tickets import DAY, holder, ticket
from localhub.hub import Hub
from localhub.runtime.doors import Door

COOKIE = "spaces-jwt"
SIGN = "__sign"


@dataclass(frozen=True)
class Admission:
    """A visitor who has access, and the door."""

    door: Door


def admitted(hub: Hub, visit: HTTPConnection, subdomain: str) -> Admission | Response:
    """Return the admission of a visitor with access, else the response to send."""
    door = next(filter(None, (find(subdomain) for find in hub.doors)), None)
    if door is None:
        return not_found()
    query = dict(parse_qsl(visit.url.query, keep_blank_values=True))
    if SIGN in query:
        return _with_cookie(hub, visit, door, query.pop(SIGN), query)
    if not door.opens_to(_visitor(hub, visit, door)):
        return not_found()
    door.visited()
    if door.port is None:
        return closed(door)
    return Admission(door)


def not_found() -> Response:
    """Return the page for strangers: the same whether there is such a Space or not."""
    page = (
        "<!doctype html><meta charset=utf-8><title>404</title>"
        "<h1>404</h1><p>Sorry, we can&rsquo;t find the page you are looking for.</p>"
    )
    return HTMLResponse(page, HTTPStatus.NOT_FOUND)


def closed(door: Door) -> Response:
    """Return the page that is shown while a Space does not answer."""
    refresh = '<meta http-equiv="refresh" content="2">' if door.waits else ""
    page = (
        f"<!doctype html><meta charset=utf-8>{refresh}<title>{escape(door.title)}</title>"
        '<body style="font-family:system-ui;margin:4rem auto;max-width:40rem">'
        f"<h1>{escape(door.title)}</h1><p>{escape(door.closed or 'It does not answer.')}</p>"
    )
    return HTMLResponse(page, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "2"})


def _visitor(hub: Hub, visit: HTTPConnection, door: Door) -> Caller:
    """Return who comes: by token, else by cookie, else nobody."""
    kind, _, value = visit.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.startswith("hf_"):
        token = hub.accounts.token(value.strip())
        return hub.accounts.caller_of(token.user, token) if token else NOBODY
    user = holder(hub, door.key, visit.cookies.get(COOKIE, ""))
    return hub.accounts.caller_of(user) if user else NOBODY


def _with_cookie(
    hub: Hub, visit: HTTPConnection, door: Door, sign: str, query: dict[str, str]
) -> Response:
    """Turn the ticket in the address into a cookie, so that the address can be shared."""
    user = holder(hub, f"{door.key}/sign", sign)
    if user is None:
        return not_found()
    path = visit.scope["path"] + (f"?{urlencode(query)}" if query else "")
    answer = RedirectResponse("/" + path.lstrip("/"), HTTPStatus.FOUND)
    answer.set_cookie(
        COOKIE,
        ticket(hub, door.key, user, DAY),
        max_age=DAY,
        httponly=True,
        samesite="lax",
    )
    return answer
