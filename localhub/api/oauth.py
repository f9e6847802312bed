"""Logging in to a Space with one's account here: OAuth 2 with OpenID Connect, as on the Hub.

Every Space whose front matter says `hf_oauth: true` is a client. Its environment holds id, secret
and this Hub's address; gradio's login button needs no more. Libraries in a Space always send
people back to `https://<space host>`; this Hub speaks plain http there, so it leads them to that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from localhub.auth.accounts import Account
from localhub.errors import Refusal, bad_request
from localhub.http.call import Answer, Call, endpoint
from localhub.http.tickets import MINUTE, holder, ticket
from localhub.hub import Hub
from localhub.runtime.spaces.environment import client_id, client_secret, host
from localhub.storage.repos import Repo

SCHEMA = """
CREATE TABLE IF NOT EXISTS consents (
    user TEXT NOT NULL, repo INTEGER NOT NULL, scopes TEXT NOT NULL, PRIMARY KEY (user, repo));
"""
CODE_SECONDS = 600
WRITING = {"write-repos", "manage-repos"}
READING = {"read-repos", "contribute-repos"}
OFFERED = (*sorted(READING | WRITING), "jobs")


@dataclass(frozen=True)
class Grant:
    """What a user has allowed a Space to do."""

    repo: Repo
    user: str
    scopes: str
    redirect_uri: str
    nonce: str | None
    challenge: str | None
    expires: float
    holds_seconds: int
    """How long the token is to be taken."""


class OAuthProvider:
    """The OAuth endpoints. Keeps each grant until its Space fetches the token."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.grants: dict[str, Grant] = {}
        hub.store.add_schema(SCHEMA)

    def routes(self) -> list[BaseRoute]:
        """Return the paths of this room."""

        def at(path: str, handler: Any, *methods: str, form: bool = False) -> Route:
            return Route(path, endpoint(self.hub, handler, form=form), methods=list(methods))

        return [
            at("/.well-known/openid-configuration", self.configuration, "GET"),
            at("/oauth/jwks", self.keys, "GET"),
            at("/oauth/authorize", self.authorize, "GET"),
            at("/oauth/authorize", self.consent, "POST", form=True),
            Route("/oauth/token", self.token, methods=["POST"]),
            at("/oauth/userinfo", self.userinfo, "GET", "POST"),
        ]

    # what the Hub says of itself

    def configuration(self, call: Call) -> Answer:
        """Answer the OpenID configuration: the addresses of all endpoints."""
        hub = self.hub.endpoint
        return {
            "issuer": hub,
            "authorization_endpoint": f"{hub}/oauth/authorize",
            "token_endpoint": f"{hub}/oauth/token",
            "userinfo_endpoint": f"{hub}/oauth/userinfo",
            "jwks_uri": f"{hub}/oauth/jwks",
            "scopes_supported": ["openid", "profile", "email", *OFFERED],
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }

    def keys(self, call: Call) -> Answer:
        """Answer the public key that verifies ID tokens."""
        return {"keys": [{**self._key().as_dict(private=False), "alg": "RS256", "use": "sig"}]}

    def _key(self) -> RSAKey:
        """Return the signing key of this data folder, made when first needed."""
        path = self.hub.data / "oauth.pem"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
        return RSAKey.import_key(path.read_bytes(), {"kid": "localhub"})

    # the browser

    def authorize(self, call: Call) -> Answer:
        """Send a logged-in browser back with a code; ask for consent the first time."""
        repo, scopes = self._asked(call)
        if call.caller.name is None or call.caller.token is not None:
            back = f"{call.request.url.path}?{call.request.url.query}"
            return RedirectResponse(f"/login?next={quote(back, safe='')}", HTTPStatus.FOUND)
        if not call.caller.may_read(repo):
            raise bad_request("Invalid client_id")
        if self._has_consented(call.caller.name, repo, scopes):
            return self._send_back(call, repo, call.caller.name, scopes)
        form = ticket(self.hub, f"consent-{repo.id}", call.caller.name, 10 * MINUTE)
        return HTMLResponse(
            "<!doctype html><meta charset=utf-8><title>Authorize</title>"
            '<body style="font-family:system-ui;margin:4rem auto;max-width:40rem">'
            f"<h1>{escape(repo.full_name)}</h1><p>would like to know who you are "
            f"({escape(call.caller.name)}) and asks for: {escape(scopes)}.</p>"
            f'<form method="post"><input type="hidden" name="ticket" value="{form}">'
            '<button type="submit">Authorize</button></form>'
        )

    def consent(self, call: Call) -> Answer:
        """Remember that a user consents, and send the browser back."""
        repo, scopes = self._asked(call)
        sent = _form(call.body.read()).get("ticket", "")
        user = call.need_user()
        if holder(self.hub, f"consent-{repo.id}", sent) != user:
            raise bad_request("The form has expired")
        with self.hub.store.write() as db:
            db.execute("INSERT OR REPLACE INTO consents VALUES (?,?,?)", (user, repo.id, scopes))
        return self._send_back(call, repo, user, scopes)

    def _asked(self, call: Call) -> tuple[Repo, str]:
        """Return the Space and scopes of a request, or refuse one that no Space here can make."""
        repo = self._client(call.query("client_id"))
        space = self.hub.spaces.records.get(repo.id) if repo else None
        if repo is None or space is None or space.oauth is None:
            raise bad_request("Invalid client_id")
        if urlsplit(call.query("redirect_uri")).netloc != host(self.hub, repo):
            raise bad_request("Invalid redirect_uri: it has to be on the Space's own host")
        if call.query("response_type") != "code":
            raise bad_request("Invalid response_type: only code is supported")
        asked = call.query("scope", "openid profile").split()
        return repo, " ".join(scope for scope in asked if scope in space.oauth)

    def _client(self, wanted: str) -> Repo | None:
        spaces = self.hub.repos.list("space")
        return next((repo for repo in spaces if client_id(repo.id) == wanted), None)

    def _has_consented(self, user: str, repo: Repo, scopes: str) -> bool:
        row = (
            self.hub.store.db()
            .execute("SELECT scopes FROM consents WHERE user=? AND repo=?", (user, repo.id))
            .fetchone()
        )
        return row is not None and set(scopes.split()) <= set(row["scopes"].split())

    def _send_back(self, call: Call, repo: Repo, user: str, scopes: str) -> Answer:
        redirect_uri = call.query("redirect_uri")
        space = self.hub.spaces.records.get(repo.id)
        assert space is not None
        code = secrets.token_urlsafe(24)
        self.grants[code] = Grant(
            repo=repo,
            user=user,
            scopes=scopes,
            redirect_uri=redirect_uri,
            nonce=call.query("nonce") or None,
            challenge=call.query("code_challenge") or None,
            expires=time.time() + CODE_SECONDS,
            holds_seconds=60 * space.login_minutes,
        )
        answer = urlencode({"code": code, "state": call.query("state")})
        where = urlsplit(redirect_uri)._replace(scheme="http")
        query = f"{where.query}&{answer}" if where.query else answer
        return RedirectResponse(where._replace(query=query).geturl(), HTTPStatus.FOUND)

    # the Space

    async def token(self, request: Request) -> Response:
        """Give a Space the token that a code stands for; each code works once.

        The only endpoint called by a Space, which authenticates by its client secret.
        """
        form = _form(await request.body())
        authorization = request.headers.get("authorization", "")
        try:
            return JSONResponse(await run_in_threadpool(self._exchange, form, authorization))
        except Refusal as refusal:
            return refusal.response()

    def _exchange(self, form: dict[str, str], authorization: str) -> dict[str, Any]:
        grant = self.grants.pop(form.get("code", ""), None)
        if form.get("grant_type") != "authorization_code" or grant is None:
            raise _oauth_error("invalid_grant")
        sent_id, sent_secret = _credentials(authorization, form)
        secret = client_secret(self.hub, grant.repo.id)
        if sent_id != client_id(grant.repo.id) or not hmac.compare_digest(sent_secret, secret):
            raise _oauth_error("invalid_client", HTTPStatus.UNAUTHORIZED)
        if not _fits(grant, form):
            raise _oauth_error("invalid_grant")
        return self._tokens(grant, sent_id)

    def _tokens(self, grant: Grant, client: str) -> dict[str, Any]:
        scopes = set(grant.scopes.split())
        role = "write" if scopes & WRITING else "read" if scopes & READING else "fineGrained"
        name = f"oauth:{grant.repo.full_name}"
        token = self.hub.accounts.add_token(grant.user, role, name=name)
        account = self.hub.accounts.find(grant.user)
        assert account is not None
        now = int(time.time())
        claims = {
            **self._who(account),
            "iss": self.hub.endpoint,
            "aud": client,
            "iat": now,
            "auth_time": now,
            "exp": now + grant.holds_seconds,
            **({"nonce": grant.nonce} if grant.nonce else {}),
        }
        return {
            "access_token": token.value,
            "token_type": "bearer",
            "expires_in": grant.holds_seconds,
            "scope": grant.scopes,
            "id_token": jwt.encode({"alg": "RS256", "kid": "localhub"}, claims, self._key()),
        }

    def userinfo(self, call: Call) -> Answer:
        """Answer who the holder of an access token is, with their organisations."""
        account = self.hub.accounts.find(call.need_user())
        assert account is not None
        orgs = self.hub.accounts.orgs_of(account.name)
        return {**self._who(account), "orgs": [self._org(*org) for org in orgs.items()]}

    def _who(self, account: Account) -> dict[str, Any]:
        return {
            "sub": account.id,
            "name": account.name,
            "preferred_username": account.name,
            "profile": f"{self.hub.endpoint}/{account.name}",
            "picture": f"{self.hub.endpoint}/avatars/{account.name}.svg",
            "website": "",
            "isPro": account.pays,
        }

    def _org(self, name: str, role: str) -> dict[str, Any]:
        account = self.hub.accounts.find(name)
        return {
            "sub": account.id if account else "",
            "name": name,
            "preferred_username": name,
            "picture": f"{self.hub.endpoint}/avatars/{name}.svg",
            "isEnterprise": account is not None and account.plan == "enterprise",
            "roleInOrg": role,
        }


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the paths of this room."""
    return OAuthProvider(hub).routes()


def _form(body: bytes) -> dict[str, str]:
    sent = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in sent.items()}


def _credentials(authorization: str, form: dict[str, str]) -> tuple[str, str]:
    """Return a client's id and secret, from the header or from the form."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(value).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote(name), unquote(secret)


def _fits(grant: Grant, form: dict[str, str]) -> bool:
    """Return whether a code is fetched by the client that asked for it, before it expires."""
    if grant.challenge:
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant.challenge:
            return False
    return grant.redirect_uri == form.get("redirect_uri") and time.time() < grant.expires


def _oauth_error(error: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Refusal:
    return Refusal(status, error, body={"error": error})
