"""Webhooks: who is told, by a POST to a loopback address, that a repo changed."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import urllib.request
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route

from localhub.errors import Refusal, bad_request
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.repos import Repo

SCHEMA = """
CREATE TABLE IF NOT EXISTS webhooks (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, body TEXT NOT NULL, disabled INTEGER NOT NULL);
"""
ALL = "/api/settings/webhooks"
ONE = ALL + "/{id}"
TIMEOUT_SECONDS = 10
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of webhooks; deliveries start with the first push."""
    hub.store.add_schema(SCHEMA)
    hub.on_push(lambda repo, ref, old, new: deliver(hub, repo, ref, old, new))
    return [
        Route(ALL, endpoint(hub, create), methods=["POST"]),
        Route(ALL, endpoint(hub, every), methods=["GET"]),
        Route(ONE, endpoint(hub, get), methods=["GET"]),
        Route(ONE, endpoint(hub, update), methods=["POST"]),
        Route(ONE, endpoint(hub, delete), methods=["DELETE"]),
        Route(ONE + "/enable", endpoint(hub, enable), methods=["POST"]),
        Route(ONE + "/disable", endpoint(hub, disable), methods=["POST"]),
    ]


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return a webhook's settings if this Hub can serve them."""
    url = body.get("url")
    if url and urlsplit(str(url)).hostname not in LOOPBACK:
        raise bad_request("This Hub delivers to loopback addresses only")
    if not url and not body.get("jobSourceId"):
        raise bad_request("A webhook needs a url or a jobSourceId")
    return {
        "watched": body.get("watched") or [],
        "domains": body.get("domains") or ["repo", "discussion"],
        "url": url,
        "secret": body.get("secret"),
    }


def shown(row: sqlite3.Row) -> dict[str, Any]:
    """Return a webhook as the API tells it."""
    return {"id": row["id"], "disabled": bool(row["disabled"]), **json.loads(row["body"])}


def found(call: Call) -> sqlite3.Row:
    """Return the caller's webhook that the path names."""
    user = call.need_user()
    row = (
        call.hub.store.db()
        .execute("SELECT * FROM webhooks WHERE id=? AND user=?", (call.param("id"), user))
        .fetchone()
    )
    if row is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "Webhook not found")
    assert isinstance(row, sqlite3.Row)
    return row


def create(call: Call) -> Answer:
    """Make a webhook."""
    user = call.need_write_token()
    body = checked(call.json())
    number = secrets.token_hex(12)
    with call.hub.store.write() as db:
        db.execute("INSERT INTO webhooks VALUES (?,?,?,0)", (number, user, json.dumps(body)))
    return {"webhook": {"id": number, "disabled": False, **body}}


def every(call: Call) -> Answer:
    """List the caller's webhooks."""
    rows = call.hub.store.db().execute("SELECT * FROM webhooks WHERE user=?", (call.need_user(),))
    return [shown(row) for row in rows]


def get(call: Call) -> Answer:
    """Describe one webhook."""
    return {"webhook": shown(found(call))}


def update(call: Call) -> Answer:
    """Change what a webhook watches or calls."""
    old = shown(found(call))
    call.need_write_token()
    body = checked(old | call.json())
    with call.hub.store.write() as db:
        db.execute("UPDATE webhooks SET body=? WHERE id=?", (json.dumps(body), old["id"]))
    return {"webhook": shown(found(call))}


def delete(call: Call) -> Answer:
    """Remove a webhook."""
    number = found(call)["id"]
    with call.hub.store.write() as db:
        db.execute("DELETE FROM webhooks WHERE id=?", (number,))
    return None


def enable(call: Call) -> Answer:
    """Let a webhook be delivered again."""
    return switch(call, disabled=False)


def disable(call: Call) -> Answer:
    """Keep a webhook without delivering it."""
    return switch(call, disabled=True)


def switch(call: Call, *, disabled: bool) -> Answer:
    """Set whether a webhook is delivered."""
    number = found(call)["id"]
    with call.hub.store.write() as db:
        db.execute("UPDATE webhooks SET disabled=? WHERE id=?", (disabled, number))
    return get(call)


def deliver(hub: Hub, repo: Repo, ref: str, old: str, new: str) -> None:
    """Tell those who watch the repo or its owner, each from a thread of its own."""
    watched = [
        {"type": repo.type, "name": repo.full_name},
        {"type": "user", "name": repo.ns},
        {"type": "org", "name": repo.ns},
    ]
    payload = update_of(hub, repo, ref, old, new)
    for row in hub.store.db().execute("SELECT * FROM webhooks WHERE disabled=0"):
        hook = json.loads(row["body"])
        concerned = any(one in hook["watched"] for one in watched)
        if hook["url"] and concerned and hub.accounts.caller_of(row["user"]).may_read(repo):
            told = payload | {"webhook": {"id": row["id"], "version": 3}}
            arguments = (hook["url"], hook["secret"], told)
            threading.Thread(target=post, args=arguments, daemon=True).start()


def update_of(hub: Hub, repo: Repo, ref: str, old: str, new: str) -> dict[str, Any]:
    """Return what is told of a ref that moved."""
    return {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {
            "type": repo.type,
            "name": repo.full_name,
            "id": f"{repo.id:024x}",
            "private": repo.private,
            "url": {
                "web": f"{hub.endpoint}/{repo.page}",
                "api": f"{hub.endpoint}/api/{repo.type}s/{repo.full_name}",
            },
            "headSha": new,
            "head_sha": new,
            "owner": {"id": repo.ns},
        },
        "updatedRefs": [{"ref": ref, "oldSha": old, "newSha": new}],
    }


def post(url: str, secret: str | None, payload: dict[str, Any]) -> None:
    """Deliver once; whoever does not answer is not told again."""
    headers = {"Content-Type": "application/json"}
    if secret:
        headers["X-Webhook-Secret"] = secret
    request = urllib.request.Request(url, json.dumps(payload).encode(), headers)
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()
    except OSError:
        return
