"""A call that may hang, bounded in time: libraries have timeouts of their own, but not for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from worker.errors import HubUnreachable

T = TypeVar("T")


def within(seconds: float, do: Callable[[], T], doing: str) -> T:
    """Return what `do` returns, or raise `HubUnreachable` when it takes longer than `seconds`.

    A call that takes too long goes on in a thread that dies with the process.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(do())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name=doing)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise HubUnreachable(f"{doing}: not done within {seconds:.0f} s.")
    return results[0]
