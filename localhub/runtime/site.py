"""What Spaces and Jobs ask of the Hub that they run on; `localhub.hub` has it all, and more."""

from __future__ import annotations

from typing import Protocol

from localhub.auth.accounts import Accounts
from localhub.clock import Clock
from localhub.runtime.machines import Machines
from localhub.storage.buckets import Buckets
from localhub.storage.content import Content
from localhub.storage.repos import Repos
from localhub.storage.store import Store


class Site(Protocol):
    """A Hub as its runs see it: what it keeps, where it answers, the machines it has."""

    endpoint: str
    clock: Clock
    store: Store
    accounts: Accounts
    content: Content
    repos: Repos
    buckets: Buckets
    machines: Machines

    @property
    def port(self) -> int:
        """The port of `endpoint`."""

    def secret(self, name: str) -> str:
        """Return a random value that stays the same for this Hub's data."""
