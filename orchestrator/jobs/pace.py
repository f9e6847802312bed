"""When a provider is asked again: soon after something new, and later and later without."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

from worker.clock import Clock

ASK_SECONDS = 2.0
"""First wait between two questions to the provider; it grows while nothing changes."""

ASK_SECONDS_MOST = 30.0
_SLOWER = 1.3
"""How much longer each wait is than the last while nothing happens."""


def longer(wait: float, most: float = ASK_SECONDS_MOST) -> float:
    """Return the wait that follows one after which nothing was new."""
    return min(wait * _SLOWER, most)


@dataclass
class Pace:
    """When to ask about each of many things."""

    clock: Clock
    _waits: dict[Hashable, tuple[float, float]] = field(default_factory=dict)
    """Until when, and how long that was from the last question on, in seconds."""

    def due(self, what: Hashable) -> bool:
        """Whether it is time to ask; at once for what has never been asked about."""
        return self.clock.monotonic() >= self._waits.get(what, (-math.inf, 0.0))[0]

    def knows(self, what: Hashable) -> bool:
        """Whether it has ever been asked about."""
        return what in self._waits

    def asked(self, what: Hashable, *, news: bool) -> None:
        """Note that it was asked about, and whether that brought `news`."""
        first = news or what not in self._waits
        wait = ASK_SECONDS if first else longer(self._waits[what][1])
        self._waits[what] = (self.clock.monotonic() + wait, wait)
