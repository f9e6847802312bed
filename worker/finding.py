"""One line of what the check finds, as tasks, groups of settings and the laptop all make them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the preflight report."""

    level: str
    """`ok`, `warn` or `error`."""

    topic: str
    """What it is about: `data`, `model`, `memory`, …"""

    text: str
    fix: str = ""
    """What to type next, where there is something."""
