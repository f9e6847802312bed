"""The door of a page on the Hub, where people are who Hugging Face says they are.

Whoever the Hub lets into a private Space may look; on a public one only the owner's side may. What
the Hub has to be asked about its visitors is asked in `worker.host.membership`.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from worker.host.door import Viewer
from worker.host.membership import Membership

PASS_KEY = "SPACE_PASS_KEY"
PASS_HEADER = "x-space-pass-key"
"""A Hub whose Spaces can be reached past it gives each a key, which it adds to what it lets in."""

WRITERS = frozenset({"admin", "write"})
"""Roles in an organisation that may stop its jobs."""


class HubDoor:
    """Opens to those whom the Hub knows as the owner's side, and on a private Space to look."""

    takes_key = False
    host = None

    def __init__(
        self,
        owners: frozenset[str],
        sign_in: bool,
        is_private: Callable[[], bool],
        organisations: Callable[[str], list[Membership]] = lambda _: [],
        *,
        pass_key: str | None = None,
    ) -> None:
        self.sign_in, self._pass_key = sign_in, pass_key
        self._owners, self._is_private, self._organisations = owners, is_private, organisations

    def is_address(self, headers: Mapping[str, str]) -> bool:
        """Whether the Hub let the request in, where it gives those it lets in a key to show."""
        shown = headers.get(PASS_HEADER, "")
        return self._pass_key is None or hmac.compare_digest(
            shown.encode(), self._pass_key.encode()
        )

    def viewer(self, cookies: Mapping[str, str], session: Mapping[str, Any]) -> Viewer:
        login = _login(session)
        who = login.get("userinfo") or {}
        name = who.get("preferred_username")
        role = "admin" if name in self._owners else self._role(login, who)
        return Viewer(
            name=name,
            may_look=role is not None or self._is_private(),
            may_stop=role in WRITERS,
        )

    def cookie_for(self, key: str) -> tuple[str, str] | None:
        """The Hub knows its visitors: nothing is exchanged for a key."""
        return None

    def _role(self, login: Mapping[str, Any], who: Mapping[str, Any]) -> str | None:
        """Return somebody's role in an organisation that owns the job, if they have one."""
        found = who.get("orgs")
        if found is None and (token := login.get("access_token")):
            found = self._organisations(token)
        for membership in found or []:
            # By account name; the display name can be chosen freely.
            if membership.get("preferred_username") in self._owners:
                return str(membership.get("roleInOrg") or "read")
        return None


def _login(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a sign-in that still holds has told; empty without one."""
    login = session.get("oauth_info") or {}
    return login if (login.get("expires_at") or float("inf")) > time.time() else {}
