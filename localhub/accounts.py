"""Users, their organisations, and the permissions of their tokens.

A request's `Caller` answers every question of permission; nothing else decides one.
Tokens are kept in clear, since this Hub prints them: its data folder is its owner's alone.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.requests import Request

from localhub.clock import stamp
from localhub.errors import bad_request, invalid_token
from localhub.repos import Repo
from localhub.store import Store

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


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; `scoped` is what a fine-grained one may do, as `whoami` tells it."""

    value: str
    user: str
    name: str
    role: str
    scoped: list[dict[str, Any]]
    created: str


@dataclass(frozen=True)
class Caller:
    """Who makes a request: nobody (`name` None) or a user with a token or a browser session."""

    name: str | None = None
    token: Token | None = None
    roles: dict[str, str] = field(default_factory=dict)
    """Role in each namespace: admin in one's own, and as a member of organisations."""

    @property
    def token_role(self) -> str:
        """What the token is for; a browser session writes like its owner."""
        return self.token.role if self.token else "write"

    def may_read(self, repo: Repo) -> bool:
        """Return whether the caller may know that `repo` exists and read it, gates aside."""
        if not repo.private:
            return True
        return repo.ns in self.roles and self._scope(repo, ("repo.content.read", "repo.write"))

    def may_write(self, repo: Repo) -> bool:
        """Return whether the caller may change what `repo` holds or how it is set."""
        role = self.roles.get(repo.ns)
        member = role in ("write", "admin") or (role == "contributor" and repo.creator == self.name)
        return member and self.token_role != "read" and self._scope(repo, ("repo.write",))

    def may_create(self, ns: str) -> bool:
        """Return whether the caller may make repos under a namespace."""
        role = self.roles.get(ns)
        if role in (None, "read") or self.token_role == "read":
            return False
        return self.permitted(ns, ns, ("repo.write",))

    def may_run(self, ns: str) -> bool:
        """Return whether the caller may run Jobs under a namespace."""
        role = self.roles.get(ns)
        if role in (None, "read") or self.token_role == "read":
            return False
        return self.permitted(ns, ns, ("job.write",))

    def why_not_write(self, repo: Repo) -> str:
        """Return the Hub's words to somebody who may not write."""
        if self.token_role == "read":
            return "Forbidden: you must use a write token to upload to a repository."
        if repo.ns in self.roles:
            return f"Forbidden: your role or token gives no write access to {repo.full_name}"
        return "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"

    def _scope(self, repo: Repo, any_of: tuple[str, ...]) -> bool:
        return self.permitted(repo.ns, repo.full_name, any_of)

    def permitted(self, ns: str, full_name: str, any_of: tuple[str, ...]) -> bool:
        """Return whether a fine-grained token names one of these permissions; others always do."""
        if self.token is None or self.token.role != "fineGrained":
            return True
        return any(
            scope["entity"]["name"] in (ns, full_name) and set(any_of) & set(scope["permissions"])
            for scope in self.token.scoped
        )


NOBODY = Caller()


class Accounts:
    """Users, organisations, tokens and sessions."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self.store = store
        self.now = now
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
        self, user: str, role: str, *, name: str = "hub", scoped: list[dict[str, Any]] | None = None
    ) -> Token:
        """Make a token for a user."""
        if role not in TOKEN_ROLES:
            raise bad_request(f"No such role: {role}. There are: {', '.join(TOKEN_ROLES)}")
        value = "hf_" + secrets.token_hex(17)
        with self.store.write() as db:
            db.execute(
                "INSERT INTO tokens VALUES (?,?,?,?,?,?,0)",
                (*(value, user, name, role), json.dumps(scoped or []), stamp(self.now())),
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
        token = self.token(value.strip()) if kind.lower() == "bearer" else None
        if token is None:
            raise invalid_token()
        return self.caller_of(token.user, token)

    def _from_cookie(self, request: Request) -> Caller:
        user = self.session_user(request.cookies.get(COOKIE, ""))
        return self.caller_of(user) if user else NOBODY

    def caller_of(self, user: str, token: Token | None = None) -> Caller:
        """Return a user as a caller, with a token or as in a browser session."""
        return Caller(user, token, {user: "admin", **self.orgs_of(user)})

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
    return Token(
        value=row["token"],
        user=row["user"],
        name=row["name"],
        role=row["role"],
        scoped=json.loads(row["scoped"]),
        created=row["created"],
    )
