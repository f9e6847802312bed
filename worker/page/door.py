"""Who may look at a job and who may stop it, decided before any request reaches the page.

On a Space people are who Hugging Face says they are: whoever the Hub lets into a private Space may
look, and on a public one only the owner's side may. Elsewhere a key in the address, kept in a
cookie after that, opens everything. Nothing here reads the job.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from worker.hubclient import hub
from worker.supervise.place import Place

WRITERS = frozenset({"admin", "write"})
"""Roles in an organisation that may stop its jobs."""

ASK_AGAIN_SECONDS = 60.0


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
        self, owners: frozenset[str], sign_in: bool, is_private: Callable[[], bool]
    ) -> None:
        self.sign_in = sign_in
        self._owners, self._is_private = owners, is_private

    def viewer(self, cookies: Mapping[str, str], session: Mapping[str, Any]) -> Viewer:
        who = _signed_in(session)
        name = who.get("preferred_username")
        role = "admin" if name in self._owners else _role(who, self._owners)
        return Viewer(
            name=name,
            may_look=role is not None or self._is_private(),
            may_stop=role in WRITERS,
        )


class Privacy:
    """Whether a Space is private, as the Hub last said; until it has said so, it is not."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._private = False
        self._asked = float("-inf")

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._asked > ASK_AGAIN_SECONDS:
            self._asked = now
            asking = threading.Thread(target=self._ask, daemon=True)
            asking.start()
            asking.join(3.0)
        return self._private

    def _ask(self) -> None:
        assert self._place.space_id is not None
        try:
            info = hub(self._place.token).space_info(self._place.space_id)
            self._private = bool(info.private)
        except Exception:  # whatever the Hub's trouble is, the page must not open wider for it
            self._private = False


def door_of(place: Place, owner: str | None, job_id: str) -> Door:
    """Return the door that fits where the job runs."""
    if place.space_id is None:
        return KeyDoor(place.page_key, job_id)
    # A person owns the job, and perhaps an organisation the Space it runs on.
    owners = frozenset(filter(None, (owner, place.space_id.partition("/")[0])))
    sign_in = "OAUTH_CLIENT_ID" in place.environ and place.environ.get("SYSTEM") == "spaces"
    return HubDoor(owners, sign_in, Privacy(place))


def _signed_in(session: Mapping[str, Any]) -> Mapping[str, Any]:
    login = session.get("oauth_info") or {}
    if (login.get("expires_at") or float("inf")) < time.time():
        return {}
    who = login.get("userinfo")
    return who if isinstance(who, Mapping) else {}


def _role(who: Mapping[str, Any], organisations: frozenset[str]) -> str | None:
    for membership in who.get("orgs") or []:
        if organisations & {membership.get("preferred_username"), membership.get("name")}:
            return str(membership.get("roleInOrg") or "read")
    return None
