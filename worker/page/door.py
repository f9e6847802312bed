"""Who may look at a job and who may stop it, decided before any request reaches the page.

On a Space people are who Hugging Face says they are: whoever the Hub lets into a private Space may
look, and on a public one only the owner's side may. Elsewhere a key in the address, kept in a
cookie after that, opens everything. A request that did not come by the page's own address is a
stranger's. Nothing here reads the job, and what the Hub has to be asked is asked in
`worker.page.questions`.
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

PASS_KEY = "SPACE_PASS_KEY"
PASS_HEADER = "x-space-pass-key"
"""A Hub whose Spaces can be reached past it gives each a key, which it adds to what it lets in."""

HOST_DIGITS = 10
"""Hexadecimal digits of a page's host name that follow from its key."""

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

    def is_address(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers came by the page's own address."""
        ...

    def viewer(self, cookies: Mapping[str, str], session: Mapping[str, Any]) -> Viewer:
        """Return who sent a request with these cookies in this session."""
        ...


class KeyDoor:
    """Opens to whoever has the key; a job without one has no visitors."""

    sign_in = False

    def __init__(self, key: str | None, job_id: str) -> None:
        self._key = key
        self.cookie = f"hubtrain_{job_id}"
        self.host = f"{job_id}-{self._derived('host')[:HOST_DIGITS]}.localhost"
        """The page's own host name. Cookies know hosts and not ports: under `127.0.0.1` every
        server of this machine would be sent ours. Browsers take `*.localhost` for this machine,
        and a name that follows from the key is one that no other server can lead them to."""

    @property
    def proof(self) -> str:
        """What the cookie holds: it opens this page and is not the key."""
        return self._derived("page")

    def is_address(self, headers: Mapping[str, str]) -> bool:
        """Whether the request names the page's own host."""
        return headers.get("host", "").partition(":")[0].lower() == self.host

    def _derived(self, purpose: str) -> str:
        return hashlib.sha256(f"{purpose} {self._key}".encode()).hexdigest()

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
    return HubDoor(
        owners,
        sign_in,
        privacy(place),
        memberships(provider),
        pass_key=place.environ.get(PASS_KEY) or None,
    )


def _login(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a sign-in that still holds has told; empty without one."""
    login = session.get("oauth_info") or {}
    return login if (login.get("expires_at") or float("inf")) > time.time() else {}
