"""Faults on demand: what the network and a busy Hub do to clients, at a chosen request.

A fault is a rule kept in memory; `Faults.middleware` wraps the whole application, counts
matching requests and breaks those it was asked to. It also keeps the log of requests that
tests read. Nothing happens unless somebody with the admin token asked for it.
"""

from __future__ import annotations

from starlette.types import Scope


class Faults:
    """The faults that wait to happen."""

    def cut_after(self, scope: Scope) -> int | None:
        """Return after how many events this request's stream is to be dropped, None for never.

        A stream obeys by sending that many events and then closing without an end.
        """
        found: int | None = scope.get("state", {}).get("cut_after")
        return found
