"""Time and random ids as an argument: code that waits, times out or makes ids takes a `Clock`.

Tests pass a clock on which hours take milliseconds, so nothing has to be patched.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Characters of an id: no 0/o and 1/i/l to mistake for one another."""


class Clock(Protocol):
    """The time, waiting, and new ids."""

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
    """The system's clock and random numbers."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def new_id(self) -> str:
        import secrets  # on use: it takes longer than the rest of a short command

        return "".join(secrets.choice(ALPHABET) for _ in range(6))
