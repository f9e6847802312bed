"""For each `<something>.localhost`: the port it is forwarded to, and who may access it.

The modules that run Spaces and Jobs create these; `localhub.proxy` and `localhub.entry` know
nothing else about a Space or a Job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localhub.accounts import Caller


@dataclass(frozen=True)
class Door:
    """One address of its own. `key` names it in tickets and stays the same over restarts."""

    key: str
    title: str
    """What people call it: `ann/demo`."""

    opens_to: Callable[[Caller], bool]
    port: int | None
    """Port on this machine; None while nothing answers there."""

    pass_key: str = ""
    """What is shown there with every request that was let in; empty where nobody asks for it."""

    closed: str = ""
    """What there is to see instead: the stage, and why."""

    waits: bool = False
    """Whether it may open by itself."""

    visited: Callable[[], None] = lambda: None
    """To be called for each visit."""
