"""Which of the Hub's places an account may use, and which of them is to be preferred."""

from __future__ import annotations

from collections.abc import Iterator

import backends
from orchestrator.preflight.account import lacks, meets
from worker.account import Account
from worker.task import Finding


def places(account: Account) -> Iterator[Finding]:
    """Yield a line for each place of the Hub's: whether it is preferred, allowed, or not."""
    own = account.namespaces[account.name]
    on_hub = [place for place in map(backends.load, backends.names()) if place.on_hub]
    for place in on_hub:
        lacking = [lacks(account, own, need) for need in place.needs if meets(own, need) is False]
        if lacking:
            yield Finding("warn", place.name, "; ".join(lacking))
        elif place.preferred_because:
            yield Finding("ok", place.name, f"preferred for {own.name}: {place.preferred_because}")
        else:
            yield Finding("ok", place.name, f"allowed for {own.name}")
