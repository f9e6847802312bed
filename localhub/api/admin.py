"""Endpoints for tests: inject faults, read the log of requests, change accounts.

Every path begins with `/_local`, answers on loopback only, and needs the admin token of the
ready line as a bearer token.
"""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute, Route

from localhub.auth.caller import NO_RIGHTS
from localhub.errors import bad_request
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of the admin."""

    def admin(path: str, handler: Any, *methods: str) -> Route:
        return Route(path, endpoint(hub, handler, admin=True), methods=list(methods))

    return [
        admin("/_local/faults", add_fault, "POST"),
        admin("/_local/faults", list_faults, "GET"),
        admin("/_local/faults", clear_faults, "DELETE"),
        admin("/_local/requests", list_requests, "GET"),
        admin("/_local/requests", clear_requests, "DELETE"),
        admin("/_local/users", add_user, "POST"),
        admin("/_local/roles", set_role, "POST"),
        admin("/_local/policies", set_policy, "PUT"),
        admin("/_local/tokens", add_token, "POST"),
        admin("/_local/tokens", change_token, "PUT"),
        admin("/_local/accept", accept, "POST"),
    ]


def add_fault(call: Call) -> Answer:
    """Break matching requests: `{"match": {...}, "nth": 3, "times": 1, "fault": {...}}`."""
    return call.hub.faults.add(call.json())


def list_faults(call: Call) -> Answer:
    """List the faults and how often each matched and happened."""
    return call.hub.faults.every()


def clear_faults(call: Call) -> Answer:
    """Remove all faults."""
    call.hub.faults.clear()
    return None


def list_requests(call: Call) -> Answer:
    """List the requests so far, the oldest first; `path` is a regular expression."""
    return call.hub.faults.requests(call.query("path"), call.query("method"))


def clear_requests(call: Call) -> Answer:
    """Forget the requests so far."""
    call.hub.faults.forget()
    return None


def add_user(call: Call) -> Answer:
    """Make a user or organisation, or change its plan: `{"name", "kind"?, "plan"?}`."""
    body = call.json()
    made = call.hub.accounts.add(
        str(body["name"]), kind=body.get("kind", "user"), plan=body.get("plan", "pro")
    )
    return {"name": made.name, "id": made.id, "kind": made.kind, "plan": made.plan}


def set_role(call: Call) -> Answer:
    """Set a user's role in an organisation: `{"org", "user", "role"}`; null ends it."""
    body = call.json()
    call.hub.accounts.set_role(str(body["org"]), str(body["user"]), body.get("role"))
    return None


def add_token(call: Call) -> Answer:
    """Make a token: `{"user", "role", "scoped"?, "global"?, "canReadGatedRepos"?}`."""
    body = call.json()
    user = str(body.get("user") or "")
    if call.hub.accounts.find(user) is None:
        raise bad_request(f"No such user: {user}")
    fine = {name: body[name] for name in NO_RIGHTS if name in body}
    made = call.hub.accounts.add_token(user, str(body.get("role") or "write"), fine=fine)
    return {"token": made.value, "role": made.role}


def change_token(call: Call) -> Answer:
    """Revoke or restore a token or change its role: `{"token", "revoked"?, "role"?}`."""
    body = call.json()
    call.hub.accounts.set_token(
        str(body["token"]), role=body.get("role"), revoked=body.get("revoked")
    )
    return None


def set_policy(call: Call) -> Answer:
    """Say which tokens an organisation lets in: `{"org", "tokens"}`, or one: `{"org", "token"}`."""
    body = call.json()
    policies, org = call.hub.accounts.policies, str(body["org"])
    if "token" in body:
        policies.approve(org, str(body["token"]))
    else:
        policies.set(org, str(body["tokens"]))
    return None


def accept(call: Call) -> Answer:
    """Let a user past a gate: `{"repo", "type"?, "user"}`."""
    body = call.json()
    repo = call.hub.repos.find(body.get("type") or "model", str(body["repo"]))
    if repo is None:
        raise bad_request(f"No such repo: {body['repo']}")
    call.hub.repos.accept(repo, str(body["user"]))
    return None
