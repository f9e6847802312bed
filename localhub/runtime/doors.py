"""For each `<something>.localhost`: the port it is forwarded to, and who may access it.

The modules that run Spaces and Jobs create these; `localhub.http.proxy` and `localhub.http.entry`
know nothing else about a Space or a Job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localhub.auth.caller import Caller


@dataclass(frozen=True)
class Door:
    """The address of one Space or Job. `key` names it in tickets and survives restarts."""

    key: str
    title: str
    """What people call it: `ann/demo`."""

    opens_to: Callable[[Caller], bool]
    port: int | None
    """Port on this machine; None while nothing answers there."""

    pass_key: str = ""
    """Key that is added to every request that was let in; empty where none is needed."""

    closed: str = ""
    """What a visitor sees while nothing answers: the stage, and why."""

    waits: bool = False
    """Whether it may start to answer without a restart."""

    visited: Callable[[], None] = lambda: None
    """To be called for each visit."""
