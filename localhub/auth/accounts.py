"""Users, their organisations, their tokens and sessions.

Tokens are kept in clear, since this Hub prints them: its data folder is its owner's alone.
"""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from localhub.auth.caller import NO_RIGHTS, NOBODY, Caller, Token
from localhub.auth.policies import Policies
from localhub.clock import stamp
from localhub.errors import bad_request, invalid_token
from localhub.storage.store import Store

COOKIE = "token"
"""Name of the session cookie on the Hub's own host."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, plan TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS members (
    org TEXT NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (org, user));
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
    scoped TEXT NOT NULL, created TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS sessions (session TEXT PRIMARY KEY, user TEXT NOT NULL);
"""

TOKEN_ROLES = ("read", "write", "fineGrained")
ORG_ROLES = ("read", "contributor", "write", "admin")
PLANS = ("free", "pro", "team", "enterprise")


@dataclass(frozen=True, slots=True)
class Account:
    """A person or an organisation. `plan` is free or pro; for organisations free, team, …"""

    name: str
    id: str
    kind: str
    plan: str

    @property
    def pays(self) -> bool:
        return self.plan != "free"


class Accounts:
    """Users, organisations, tokens and sessions."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self.store = store
        self.now = now
        self.policies = Policies(store)
        store.add_schema(SCHEMA)

    # people

    def add(self, name: str, *, kind: str = "user", plan: str = "pro") -> Account:
        """Make an account; one that is there already is returned with its plan changed."""
        if plan not in PLANS:
            raise bad_request(f"No such plan: {plan}. There are: {', '.join(PLANS)}")
        with self.store.write() as db:
            db.execute(
                "INSERT INTO accounts VALUES (?,?,?,?) ON CONFLICT (name) DO UPDATE SET plan=?",
                (name, secrets.token_hex(12), kind, plan, plan),
            )
        made = self.find(name)
        assert made is not None
        return made

    def find(self, name: str) -> Account | None:
        """Return a user or organisation by name."""
        row = self.store.db().execute("SELECT * FROM accounts WHERE name=?", (name,)).fetchone()
        return Account(row["name"], row["id"], row["kind"], row["plan"]) if row else None

    def users(self) -> list[Account]:
        """Return all users, oldest first."""
        rows = self.store.db().execute("SELECT * FROM accounts WHERE kind='user' ORDER BY rowid")
        return [Account(row["name"], row["id"], row["kind"], row["plan"]) for row in rows]

    def set_role(self, org: str, user: str, role: str | None) -> None:
        """Make a user a member of an organisation in a role; None ends the membership."""
        if role is not None and role not in ORG_ROLES:
            raise bad_request(f"No such role: {role}. There are: {', '.join(ORG_ROLES)}")
        with self.store.write() as db:
            db.execute("DELETE FROM members WHERE org=? AND user=?", (org, user))
            if role is not None:
                db.execute("INSERT INTO members VALUES (?,?,?)", (org, user, role))

    def orgs_of(self, user: str) -> dict[str, str]:
        """Return a user's organisations and the role in each."""
        rows = self.store.db().execute(
            "SELECT org, role FROM members WHERE user=? ORDER BY org", (user,)
        )
        return {row["org"]: row["role"] for row in rows}

    # tokens

    def add_token(
        self, user: str, role: str, *, name: str = "hub", fine: dict[str, Any] | None = None
    ) -> Token:
        """Make a token for a user; `fine` is what a fine-grained one may do, or a part of it."""
        if role not in TOKEN_ROLES:
            raise bad_request(f"No such role: {role}. There are: {', '.join(TOKEN_ROLES)}")
        value = "hf_" + secrets.token_hex(17)
        with self.store.write() as db:
            db.execute(
                "INSERT INTO tokens VALUES (?,?,?,?,?,?,0)",
                (
                    *(value, user, name, role),
                    json.dumps(NO_RIGHTS | (fine or {})),
                    stamp(self.now()),
                ),
            )
        made = self.token(value)
        assert made is not None
        return made

    def token(self, value: str) -> Token | None:
        """Return a token that works, None if it never existed or was revoked."""
        row = (
            self.store.db()
            .execute("SELECT * FROM tokens WHERE token=? AND revoked=0", (value,))
            .fetchone()
        )
        return _token(row) if row else None

    def tokens_of(self, user: str) -> list[Token]:
        """Return a user's working tokens, the oldest first."""
        rows = self.store.db().execute(
            "SELECT * FROM tokens WHERE user=? AND revoked=0 ORDER BY rowid", (user,)
        )
        return [_token(row) for row in rows]

    def set_token(
        self, value: str, *, role: str | None = None, revoked: bool | None = None
    ) -> None:
        """Change what a token may do, or whether it works at all."""
        with self.store.write() as db:
            if role is not None:
                db.execute("UPDATE tokens SET role=? WHERE token=?", (role, value))
            if revoked is not None:
                db.execute("UPDATE tokens SET revoked=? WHERE token=?", (revoked, value))

    # requests

    def caller(self, request: Request) -> Caller:
        """Return who makes a request, or refuse with 401 if its token is not valid.

        The header decides; without one, the session cookie of a browser does.
        """
        caller = self._from_header(request) or self._from_cookie(request)
        request.scope.setdefault("state", {})["user"] = caller.name
        return caller

    def _from_header(self, request: Request) -> Caller | None:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if not value:
            return None
        said = value.strip()
        if kind.lower() == "basic":  # git, which has the token for a password
            with suppress(ValueError):
                said = base64.b64decode(said, validate=True).decode().partition(":")[2]
        token = self.token(said) if kind.lower() in ("basic", "bearer") else None
        if token is None:
            raise invalid_token()
        return self.caller_of(token.user, token)

    def _from_cookie(self, request: Request) -> Caller:
        user = self.session_user(request.cookies.get(COOKIE, ""))
        return self.caller_of(user) if user else NOBODY

    def caller_of(self, user: str, token: Token | None = None) -> Caller:
        """Return a user as a caller, with a token or as in a browser session."""
        roles = {org: role for org, role in self.orgs_of(user).items() if self.lets_in(org, token)}
        return Caller(user, token, {user: "admin", **roles})

    def lets_in(self, org: str, token: Token | None) -> bool:
        """Return whether an organisation lets in a token of its members; it does a browser."""
        return token is None or self.policies.lets_in(org, token.value, token.role)

    # sessions

    def log_in(self, token: str) -> str:
        """Return the session, for the cookie, of whoever has this token; 401 if nobody has."""
        found = self.token(token)
        if found is None:
            raise invalid_token()
        session = secrets.token_urlsafe(32)
        with self.store.write() as db:
            db.execute("INSERT INTO sessions VALUES (?,?)", (session, found.user))
        return session

    def session_user(self, session: str) -> str | None:
        """Return who a session belongs to."""
        row = (
            self.store.db()
            .execute("SELECT user FROM sessions WHERE session=?", (session,))
            .fetchone()
        )
        return row["user"] if row else None

    def log_out(self, session: str) -> None:
        """End a session."""
        with self.store.write() as db:
            db.execute("DELETE FROM sessions WHERE session=?", (session,))


def _token(row: sqlite3.Row) -> Token:
    fine = json.loads(row["scoped"])
    return Token(
        value=row["token"],
        user=row["user"],
        name=row["name"],
        role=row["role"],
        fine=fine if isinstance(fine, dict) else NO_RIGHTS | {"scoped": fine},
        created=row["created"],
    )
