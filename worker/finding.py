"""One line of what the check finds, as tasks, groups of settings and the laptop all make them."""

from __future__ import annotations

from collections.abc import Iterable
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


def wrong_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return those that keep what was checked from being done."""
    return [f for f in findings if f.level == "error"]


def why_refused(findings: Iterable[Finding]) -> str:
    """Return why a check refused: a line for each thing that is wrong, with what mends it."""
    return "\n".join(f"{f.topic}: {f.text} {f.fix}".rstrip() for f in wrong_of(findings))
