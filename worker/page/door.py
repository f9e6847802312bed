"""Who may look at a job and who may stop it, decided before any request reaches the page.

On a Space people are who Hugging Face says they are: whoever the Hub lets into a private Space may
look, and on a public one only the owner's side may. Elsewhere a key in the address, kept in a
cookie after that, opens everything. Nothing here reads the job, and what the Hub has to be asked is
asked in `worker.page.questions`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from worker.hubclient import REAL_HUB
from worker.page.questions import Membership, memberships, privacy
from worker.supervise.place import Place

WRITERS = frozenset({"admin", "write"})
"""Roles in an organisation that may stop its jobs."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who sent a request."""

    name: str | None = None
    """Account, where one is signed in."""

    may_look: bool = False
    may_stop: bool = False


STRANGER = Viewer()


class Door(Protocol):
    """Tells viewers from strangers."""

    sign_in: bool
    """Whether signing in would help a stranger."""

    def viewer(self, cookies: Mapping[str, str], session: Mapping[str, Any]) -> Viewer:
        """Return who sent a request with these cookies in this session."""
        ...


class KeyDoor:
    """Opens to whoever has the key; a job without one has no visitors."""

    sign_in = False

    def __init__(self, key: str | None, job_id: str) -> None:
        self._key = key
        self.cookie = f"hubtrain_{job_id}"
        """Cookies know hosts and not ports, and a machine may run several jobs."""

    @property
    def proof(self) -> str:
        """What the cookie holds: it opens this page and is not the key."""
        return hashlib.sha256(f"page {self._key}".encode()).hexdigest()

    def fits(self, key: str) -> bool:
        """Whether `key` is the key."""
        return self._key is not None and hmac.compare_digest(key.encode(), self._key.encode())

    def viewer(self, cookies: Mapping[str, str], session: Mapping[str, Any]) -> Viewer:
        shown = cookies.get(self.cookie, "")
        if self._key is None or not hmac.compare_digest(shown.encode(), self.proof.encode()):
            return STRANGER
        return Viewer("its user", may_look=True, may_stop=True)


class HubDoor:
    """Opens to those whom the Hub knows as the owner's side, and on a private Space to look."""

    def __init__(
        self,
        owners: frozenset[str],
        sign_in: bool,
        is_private: Callable[[], bool],
        organisations: Callable[[str], list[Membership]] = lambda _: [],
    ) -> None:
        self.sign_in = sign_in
        self._owners, self._is_private, self._organisations = owners, is_private, organisations

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

    def _role(self, login: Mapping[str, Any], who: Mapping[str, Any]) -> str | None:
        """Return somebody's role in an organisation that owns the job, if they have one."""
        found = who.get("orgs")
        if found is None and (token := login.get("access_token")):
            found = self._organisations(token)
        for membership in found or []:
            # By the name in addresses: the one on the front page is whatever its owner likes.
            if membership.get("preferred_username") in self._owners:
                return str(membership.get("roleInOrg") or "read")
        return None


def door_of(place: Place, owner: str | None, job_id: str) -> Door:
    """Return the door that fits where the job runs."""
    if place.space_id is None:
        return KeyDoor(place.page_key, job_id)
    # A person owns the job, and perhaps an organisation the Space it runs on.
    owners = frozenset(filter(None, (owner, place.space_id.partition("/")[0])))
    sign_in = "OAUTH_CLIENT_ID" in place.environ and place.environ.get("SYSTEM") == "spaces"
    provider = place.environ.get("OPENID_PROVIDER_URL", REAL_HUB)
    return HubDoor(owners, sign_in, privacy(place), memberships(provider))


def _login(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a sign-in that still holds has told; empty without one."""
    login = session.get("oauth_info") or {}
    return login if (login.get("expires_at") or float("inf")) > time.time() else {}
