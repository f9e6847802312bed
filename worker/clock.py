"""Time and chance as arguments: what waits, times out or names things takes a `Clock`.

Tests pass one that runs a deadline of hours in milliseconds; nothing is patched.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Characters of an id: no 0/o and 1/i/l to mistake for one another."""


class Clock(Protocol):
    """Now, later, and a name nobody has yet."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards, from any start."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def new_id(self) -> str:
        """Return six characters, `ALPHABET` each: short to type, 887 million to choose from."""
        ...


class SystemClock:
    """The machine's own time and chance."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def new_id(self) -> str:
        return "".join(secrets.choice(ALPHABET) for _ in range(6))
