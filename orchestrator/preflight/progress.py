"""Progress of a check: its parts run at the same time, and every change is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock


class Progress:
    """The parts in flight. As a context it is one of them: `with doing("reading the rows"):`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._now: list[str] = []
        self._lock = Lock()

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Tell that `what` goes on, until the context is left."""
        with self._lock:
            self._now.append(what)
            self._tell(", ".join(self._now))
        try:
            yield
        finally:
            with self._lock:
                self._now.remove(what)
                self._tell(", ".join(self._now))


def unheard(now: str) -> None:
    """Ignore what a check is doing: the default for those who do not show it."""
