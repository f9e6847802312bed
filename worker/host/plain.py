"""A plain machine: nobody bills for it, and a key in the address opens its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.clock import Clock
from worker.contract import Stopped
from worker.host.base import Host
from worker.show.door import Door, KeyDoor


class PlainMachine(Host):
    """A machine with no provider to ask. It is what a worker runs on where no other host is."""

    keeps_disk = True

    @classmethod
    def is_here(cls, environ: Mapping[str, str]) -> bool:
        """Return true: any machine will do."""
        return True

    def stop_billing(self, *, clock: Clock, log: Callable[[str], object]) -> bool:
        """Return true: there is nothing to stop."""
        return True

    def is_flavor(self, flavor: str | None) -> bool:
        """Return true: the job is never moved to another machine."""
        return True

    def current_flavor(self) -> str | None:
        """Return none: there are no flavors."""
        return None

    def stopped_on_purpose(self) -> Stopped | None:
        """Return none: a signal does not tell who sent it."""
        return None

    def door(self, owner: str | None, job_id: str) -> Door:
        """Return a door for `HUBTRAIN_PAGE_KEY`; without a key nobody may look."""
        return KeyDoor(self.environ.get("HUBTRAIN_PAGE_KEY") or None, job_id)
