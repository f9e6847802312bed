"""The time, as an argument; and how the Hub writes it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The time of this machine; tests may hand in another one."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards, from any start."""
        return time.monotonic()


def stamp(when: datetime) -> str:
    """Return a time as the Hub writes it: UTC, milliseconds, a Z. Clients take no other form."""
    utc = when.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"
