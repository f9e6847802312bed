"""Logs that are kept for good.

A log is a file of one JSON object a line, exactly as it goes over the wire, so that every replay
is the same in every byte, through reconnects and restarts of the Hub. Knows nothing of who
writes or reads it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

from localhub.clock import stamp

POLL = 0.1
"""Seconds between two looks at a log that grows."""


class Log:
    """A file of events, each `{"timestamp", "data"}`. Several processes may append to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *lines: str) -> None:
        """Append lines, stamped now; each is one write, so that no two of them mix."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            for line in lines:
                event = {"timestamp": stamp(datetime.now(UTC)), "data": line}
                os.write(
                    descriptor,
                    json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n",
                )
        finally:
            os.close(descriptor)

    def lines(self, last: int | None = None) -> list[str]:
        """Return what was logged, or only its `last` lines."""
        events = self._read(0)[0]
        wanted = events if last is None else events[max(0, len(events) - last) :]
        return [json.loads(event)["data"] for event in wanted]

    async def follow(
        self, over: Callable[[], bool], *, last: int | None = None
    ) -> AsyncIterator[bytes | None]:
        """Yield every event from the start, or from the `last` ones on, as it comes.

        None means that nothing came for a while. Stops when all events are sent and `over()` is
        true.
        """
        events, position = self._read(0)
        pending = events if last is None else events[max(0, len(events) - last) :]
        while True:
            for event in pending:
                yield event
            ended = over()
            pending, position = self._read(position)
            if not pending:
                if ended:
                    return
                yield None
                await asyncio.sleep(POLL)

    def _read(self, position: int) -> tuple[list[bytes], int]:
        """Return the complete events after `position`, and where the next one begins."""
        try:
            with self.path.open("rb") as file:
                file.seek(position)
                data = file.read()
        except FileNotFoundError:
            return [], position
        complete = data[: data.rfind(b"\n") + 1]
        return complete.split(b"\n")[:-1], position + len(complete)
