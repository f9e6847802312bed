"""Waiting for what comes in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds that anything may take on a machine that is busy with something else."""


def until(true: Callable[[], Any], seconds: float = PATIENCE, *, every: float = 0.1) -> Any:
    """Return the first true answer; fail if none comes in time."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds:.0f} s"
        time.sleep(every)
    return answer
