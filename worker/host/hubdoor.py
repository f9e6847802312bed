"""The door of a page on the Hub, where people are identified by their Hugging Face account.

Whoever the Hub lets into a private Space may look; on a public one only the owner, and members of
an organisation that owns the job. `worker.host.membership` asks the Hub about visitors.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from worker.host.membership import Membership
from worker.show.door import Viewer

PASS_KEY = "SPACE_PASS_KEY"
PASS_HEADER = "x-space-pass-key"
"""A Hub whose Spaces can also be reached directly, as the local one's, gives each Space a key and
adds it to every request that it passes on."""

WRITERS = frozenset({"admin", "write"})
"""Roles in an organisation that may stop its jobs."""


class HubDoor:
    """Access by Hugging Face account: the owner's, or one in an organisation that owns it."""

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
        """Whether the Hub passed the request on, which the pass key shows where there is one."""
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
        """Return none: people sign in, and there are no keys."""
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
    """Return the data of a sign-in that has not expired; empty without one."""
    login = session.get("oauth_info") or {}
    return login if (login.get("expires_at") or float("inf")) > time.time() else {}
