"""Who am I, who is that: `whoami-v2`, overviews of people and organisations."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.routing import BaseRoute, Route

from localhub.auth.accounts import Account
from localhub.auth.caller import Token
from localhub.auth.policies import RESTRICTION
from localhub.errors import Refusal, login_needed
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes about people and what the Hub says of itself."""
    return [
        Route("/api/whoami-v2", endpoint(hub, whoami)),
        Route("/api/users/{user}/overview", endpoint(hub, overview)),
        Route("/api/organizations/{user}/overview", endpoint(hub, overview)),
        Route("/api/organizations/{user}/members", endpoint(hub, members)),
        Route("/api/agent-harnesses", endpoint(hub, agent_harnesses)),
    ]


def whoami(call: Call) -> Answer:
    """Answer who the token belongs to, the organisations with roles, and what it may do."""
    name = call.caller.name
    account = call.hub.accounts.find(name) if name else None
    if account is None:
        raise login_needed()
    token = call.caller.token
    members = call.hub.accounts.orgs_of(account.name)
    orgs = [
        org_of(call.hub, org, role) | _restrictions(call.hub, org, token)
        for org, role in members.items()
    ]
    about = person(call.hub, account) | {"orgs": orgs}
    if token:
        about["auth"] = {"type": "access_token", "accessToken": access(token)}
    return about


def _restrictions(hub: Hub, org: str, token: Token | None) -> dict[str, Any]:
    """Return why an organisation keeps a token out, for `whoami`; empty where it does not."""
    if hub.accounts.lets_in(org, token):
        return {}
    return {"securityRestrictions": [RESTRICTION]}


def person(hub: Hub, account: Account) -> dict[str, Any]:
    """Return a user as `whoami` tells it."""
    return {
        "type": "user",
        "id": account.id,
        "name": account.name,
        "fullname": account.name.capitalize(),
        "email": f"{account.name}@localhub.invalid",
        "emailVerified": True,
        "canPay": hub.machines.may_pay(account.name),
        "billingMode": "prepaid",
        "periodEnd": None,
        "isPro": account.pays,
        "avatarUrl": f"/avatars/{account.id}.svg",
    }


def org_of(hub: Hub, name: str, role: str) -> dict[str, Any]:
    """Return an organisation as `whoami` tells it to a member."""
    org = hub.accounts.find(name)
    assert org is not None
    return {
        "type": "org",
        "id": org.id,
        "name": name,
        "fullname": name.capitalize(),
        "email": None,
        "canPay": hub.machines.may_pay(name),
        "billingMode": "prepaid",
        "periodEnd": None,
        "isEnterprise": org.pays,
        "plan": org.plan if org.pays else None,
        "avatarUrl": f"/avatars/{org.id}.svg",
        "roleInOrg": role,
    }


def access(token: Token) -> dict[str, Any]:
    """Return what a token may do."""
    about: dict[str, Any] = {
        "displayName": token.name,
        "role": token.role,
        "createdAt": token.created,
    }
    if token.role == "fineGrained":
        about["fineGrained"] = token.fine
    return about


def overview(call: Call) -> Answer:
    """Answer what everybody may know of a user or an organisation."""
    account = call.hub.accounts.find(call.param("user"))
    if account is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "This user does not exist")
    return {
        "_id": account.id,
        "name": account.name,
        "user": account.name,
        "fullname": account.name.capitalize(),
        "type": account.kind,
        "isPro": account.pays,
        "plan": account.plan,
        "avatarUrl": f"/avatars/{account.id}.svg",
    }


def members(call: Call) -> Answer:
    """Answer who belongs to an organisation."""
    rows = call.hub.store.db().execute(
        "SELECT user FROM members WHERE org=? ORDER BY user", (call.param("user"),)
    )
    return [
        {"user": row["user"], "fullname": row["user"].capitalize(), "type": "user"} for row in rows
    ]


def agent_harnesses(_: Call) -> Answer:
    """Answer a question of the client library at its first start: no harnesses are known."""
    return {"standardEnvVars": [], "harnesses": {}}
