"""Who may look at a job and who may stop it, decided before any request reaches its page.

Where people have no accounts, a key in the address, kept in a cookie after that, opens everything.
A request that did not come by the page's own address is a stranger's. Nothing here reads the job.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

HOST_DIGITS = 10
"""Hexadecimal digits of a page's host name that follow from its key."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who sent a request."""

    name: str | None = None
    """Account, where one is signed in."""

    may_look: bool = False
    may_stop: bool = False


STRANGER = Viewer()


class Door(Protocol):
    """Decides who may see a page, and who may stop its job."""

    sign_in: bool
    """Whether people can sign in to get access."""

    takes_key: bool
    """Whether a key in the address gives access."""

    @property
    def host(self) -> str | None:
        """The page's own host name; none where the provider gives the page its address."""
        ...

    def is_address(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers came by the page's own address."""
        ...

    def viewer(self, cookies: Mapping[str, str], session: Mapping[str, Any]) -> Viewer:
        """Return who sent a request with these cookies in this session."""
        ...

    def cookie_for(self, key: str) -> tuple[str, str] | None:
        """Return name and value of the cookie that a key is exchanged for; none for a wrong key."""
        ...


class KeyDoor:
    """Access by a key in the address; without a key nobody has access."""

    sign_in = False
    takes_key = True

    def __init__(self, key: str | None, job_id: str) -> None:
        self._key = key
        self.cookie = f"hubtrain_{job_id}"
        self.host = f"{job_id}-{self._derived('host')[:HOST_DIGITS]}.localhost"
        """The page's own host name. Cookies know hosts and not ports: under `127.0.0.1` every
        server of this machine would be sent ours. Browsers take `*.localhost` for this machine,
        and a name that follows from the key is one that no other server can lead them to."""

    @property
    def proof(self) -> str:
        """Value of the cookie: it gives access to this page and does not reveal the key."""
        return self._derived("page")

    def is_address(self, headers: Mapping[str, str]) -> bool:
        """Whether the request names the page's own host."""
        return headers.get("host", "").partition(":")[0].lower() == self.host

    def _derived(self, purpose: str) -> str:
        return hashlib.sha256(f"{purpose} {self._key}".encode()).hexdigest()

    def cookie_for(self, key: str) -> tuple[str, str] | None:
        if self._key is None or not hmac.compare_digest(key.encode(), self._key.encode()):
            return None
        return self.cookie, self.proof

    def viewer(self, cookies: Mapping[str, str], session: Mapping[str, Any]) -> Viewer:
        shown = cookies.get(self.cookie, "")
        if self._key is None or not hmac.compare_digest(shown.encode(), self.proof.encode()):
            return STRANGER
        return Viewer("its user", may_look=True, may_stop=True)
