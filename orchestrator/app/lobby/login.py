"""Signing in at the Hub by OAuth 2, for which it sets up a Space whose front matter asks for it."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from backends.deploy.spaces.app import SCOPES
from worker.account import Account, who
from worker.clock import Clock
from worker.errors import HubtrainError, HubUnreachable, NoWrite
from worker.hubclient import hub

CALLBACK = "/login/callback"
CALL_SECONDS = 20.0
MOST_BEGUN = 1000
"""Logins that are begun and not ended. Strangers begin them: of more the oldest are forgotten."""

HOLDS_SECONDS = 8 * 3600.0
"""How long a login holds of which the Hub does not say it."""


_VARIABLES = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OPENID_PROVIDER_URL", "SPACE_HOST")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""What an account at the Hub can be called; a folder is called so too."""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who has signed in."""

    name: str
    token: str = field(repr=False)
    until: datetime
    """When the Hub stops to take the token."""

    by_program: bool = False
    """Whether the token is one of the user's own, which a program has shown."""

    @property
    def room(self) -> str:
        """Which app of the user's it is: that of programs has their token, and no login's."""
        return f"{self.name}/program" if self.by_program else self.name


def named(account: Account) -> str:
    """Return an account's name, by which a folder is called, too. Raises `HubtrainError`."""
    if not _NAME.fullmatch(account.name):
        raise HubtrainError(f"{account.name!r} is no name of an account.")
    return account.name


class SigningIn:
    """The way to a login: `begin` leads a browser to the Hub, which sends it back to `finish`."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        """Read what the Hub says to a Space. Raises `HubtrainError` where it says nothing."""
        if missing := [name for name in _VARIABLES if not environ.get(name)]:
            raise HubtrainError(
                f"nobody can sign in here: {', '.join(missing)} is not set.",
                fix="hubtrain app --on-space makes a Space of the Hub, which sets it.",
            )
        self._id, self._secret, self._hub, host = (environ[name] for name in _VARIABLES)
        self._back = f"https://{host.split(',')[0].strip()}{CALLBACK}"
        self._clock = clock
        self._begun: dict[str, str] = {}

    def begin(self) -> tuple[str, str]:
        """Return where a browser has to go, and a secret that it has to bring back as `state`.

        Asks the Hub once. Raises `HubUnreachable`.
        """
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._id,
            "redirect_uri": self._back,
            "scope": " ".join(("openid", "profile", *SCOPES)),
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        address = f"{self._endpoints['authorization_endpoint']}?{urlencode(asked)}"
        self._begun[state] = verifier
        for old in list(self._begun)[:-MOST_BEGUN]:
            self._begun.pop(old, None)
        return address, state

    def finish(self, state: str, code: str) -> Login:
        """Return the login that a code stands for. Each `state` works once.

        Raises `NoWrite` for a login that may not do what jobs need, else `HubtrainError`.
        """
        verifier = self._begun.pop(state, None)
        if verifier is None or not code:
            raise HubtrainError("This login was not begun here, or is too old.")
        given = self._asked(
            self._endpoints["token_endpoint"],
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._back,
                "code_verifier": verifier,
            },
        )
        token, seconds = str(given["access_token"]), float(given.get("expires_in") or HOLDS_SECONDS)
        account = who(hub(token), self._clock)
        granted = set(str(given.get("scope", "")).split())
        if lacking := [scope for scope in SCOPES if scope not in granted]:
            raise NoWrite(
                f"{account.name}, this login may not do what jobs need: it lacks"
                f" {' and '.join(lacking)}.",
                fix="The README of this Space has to ask for it: whoever owns it runs"
                " `hubtrain app --on-space` once more.",
            )
        return Login(named(account), token, self._clock.now() + timedelta(seconds=seconds))

    @cached_property
    def _endpoints(self) -> Mapping[str, str]:
        """The Hub's addresses for logins."""
        found = self._asked(f"{self._hub.rstrip('/')}/.well-known/openid-configuration")
        names = ("authorization_endpoint", "token_endpoint")
        return {name: str(found[name]) for name in names}

    def _asked(self, address: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the Hub's answer to this Space. Raises `HubUnreachable`."""
        import httpx2

        try:
            with httpx2.Client(timeout=CALL_SECONDS) as client:
                if form is None:
                    answer = client.get(address)
                else:
                    answer = client.post(address, data=form, auth=(self._id, self._secret))
                answer.raise_for_status()
                found: dict[str, Any] = answer.json()
                if form is not None:
                    found["access_token"]
        except (httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
            said = type(error).__name__
            raise HubUnreachable(f"The Hub did not let you in ({said}).") from error
        return found
