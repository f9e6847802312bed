"""A clock on which hours are minutes, and which may be set wrong: laptop and worker each have one.

Its time is counted from the start of the campaign, so that all processes agree about it.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

from worker.clock import SystemClock as Plain

from . import LAPTOP, conditions


class SystemClock(Plain):
    """The system's clock, as the conditions want it."""

    def now(self) -> datetime:
        told = conditions()
        epoch, speed = told.get("epoch", 0.0), told.get("speed", 1.0)
        jump = told.get("laptop_jump" if LAPTOP in os.environ else "worker_jump", 0.0)
        passed = (time.time() - epoch) * speed
        return datetime.fromtimestamp(epoch, UTC) + timedelta(seconds=passed + jump)

    def monotonic(self) -> float:
        return time.monotonic() * float(conditions().get("speed", 1.0))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / float(conditions().get("speed", 1.0)))
