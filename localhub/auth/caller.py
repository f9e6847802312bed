"""Who makes a request, and what they may.

A request's `Caller` answers every question of permission; nothing else decides one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localhub.storage.repos import Repo

NO_RIGHTS: dict[str, Any] = {"global": [], "scoped": [], "canReadGatedRepos": True}
"""What a fine-grained token may do that was given nothing."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token."""

    value: str
    user: str
    name: str
    role: str
    fine: dict[str, Any]
    """What a fine-grained one may do, as `whoami` tells it."""

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
        if set(any_of) & set(self.token.fine["global"]):
            return True
        return any(
            scope["entity"]["name"] in (ns, full_name) and set(any_of) & set(scope["permissions"])
            for scope in self.token.fine["scoped"]
        )

    def opens_gates(self) -> bool:
        """Return whether the token reads gated repos of others at all."""
        if self.token is None or self.token.role != "fineGrained":
            return True
        return bool(self.token.fine["canReadGatedRepos"])


NOBODY = Caller()
