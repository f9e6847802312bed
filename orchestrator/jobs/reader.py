"""A job's lines, read in a thread, because following a log blocks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from backends.base import Backend
from backends.handle import Handle
from worker.errors import HubtrainError


class Reader:
    """Reads one job's log from its start until it ends or its source gives up."""

    def __init__(self, backend: Backend[Any], handle: Handle) -> None:
        self.count = 0
        """Lines that `new_lines` has yielded."""

        self._lines: SimpleQueue[str] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._read, args=(backend.logs(handle, follow=True),), daemon=True
        )
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether no more lines will come; those that came may still be waiting."""
        return not self._thread.is_alive()

    def new_lines(self) -> Iterator[str]:
        """Yield the lines that have come since the last call; does not wait for more."""
        with suppress(Empty):
            while True:
                line = self._lines.get_nowait()
                self.count += 1
                yield line

    def _read(self, lines: Iterable[str]) -> None:
        for line in quietly(lines):
            self._lines.put(line)


def quietly(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines until they end. A source that refuses ends them too: logs may be gone."""
    try:
        yield from lines
    except HubtrainError:
        return
