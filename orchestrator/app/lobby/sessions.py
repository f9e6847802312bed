"""Who is signed in with which browser. Kept in memory: with the lobby all logins end."""

from __future__ import annotations

import hashlib
import secrets

from orchestrator.app.lobby.login import Login
from worker.clock import Clock


class Sessions:
    """Logins by the secret that a browser has in its cookie, of which only a digest is kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logins: dict[str, Login] = {}

    def open(self, login: Login) -> str:
        """Return the secret of a new session."""
        secret = secrets.token_urlsafe(32)
        self._logins[_digest(secret)] = login
        return secret

    def login(self, secret: str) -> Login | None:
        """Return whose session it is; none where it has ended."""
        found = self._logins.get(_digest(secret))
        if found is not None and found.until <= self._clock.now():
            self.end(secret)
            return None
        return found

    def end(self, secret: str) -> Login | None:
        """End a session, and return whose it was."""
        return self._logins.pop(_digest(secret), None)

    def drop(self, login: Login) -> None:
        """End all sessions of one login."""
        self._logins = {key: one for key, one in self._logins.items() if one != login}

    def any_of(self, name: str) -> bool:
        """Whether this user is signed in with any browser."""
        now = self._clock.now()
        return any(one.name == name and one.until > now for one in self._logins.values())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
