"""How much the users of an app may upload, and what is over it: refused before it fills the disk.

What counts lies on the disk: a user's uploads, and what their app is receiving. So nothing is
remembered but the requests that are on their way.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from orchestrator.app.lobby.rooms import Rooms
from orchestrator.hosted import UPLOAD_BYTES
from orchestrator.words import size
from worker.errors import HubtrainError

ALL_BYTES = 20_000_000_000
"""What all users may upload together: a free Space has a disk of 50 GB."""

SPARE_BYTES = 2_000_000_000
"""What is left free, whoever has filled the disk: jobs are packed there."""

SMALL_BYTES = 1_000_000
"""What a request may bring that is no upload; more is counted wherever it goes."""


KEEPS = ("/upload", "/create_project")
"""Parts of the addresses at which what is sent is kept, however small it is."""

Body = AsyncIterator[bytes]


class TooMuch(HubtrainError):
    """An upload for which there is no room."""


class Quota:
    """What users have uploaded, and may still upload. Used from one event loop."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        each: int = UPLOAD_BYTES,
        together: int = ALL_BYTES,
        spare: int = SPARE_BYTES,
    ) -> None:
        self._rooms, self._each, self._together, self._spare = rooms, each, together, spare
        self._coming: Counter[str] = Counter()

    @asynccontextmanager
    async def received(self, request: Request, name: str) -> AsyncIterator[Body | None]:
        """Give the body of a user's request to whoever passes it on; none where it has none.

        Raises `TooMuch`: at once where the request says how long it is, else once it is longer.
        """
        if not {"content-length", "transfer-encoding"} & set(request.headers):
            yield None
            return
        told = request.headers.get("content-length")
        if told and int(told) <= SMALL_BYTES and not _is_kept(request):
            yield request.stream()
            return
        left, full = await self._left(name)
        count = int(told) if told else left
        if count > left or not left:
            await self._skip(request, count)
            raise full
        self._coming[name] += count
        try:
            yield _at_most(request, count, full)
        finally:
            self._coming[name] -= count

    async def _left(self, name: str) -> tuple[int, TooMuch]:
        """Return how many bytes a user may still upload, and what is said of more."""
        there, free = await run_in_threadpool(self._measured)
        there += self._coming
        mine = self._each - there[name]
        room = min(self._together - there.total(), free - self._spare - self._coming.total())
        if mine < room:
            full = TooMuch(
                f"Your uploads on this app would be more than {size(self._each)}.",
                fix="Remove jobs that were made of earlier ones, or name a dataset of the Hub.",
            )
        else:
            full = TooMuch(
                "This app has no room for such an upload now.",
                fix="Name a dataset of the Hub, or come back later.",
            )
        return max(min(mine, room), 0), full

    def _measured(self) -> tuple[Counter[str], int]:
        """Return the bytes of each user's uploads, and those that the disk has left."""
        there: Counter[str] = Counter()
        for name, folder in self._rooms.folders():
            there[name] += _bytes(folder)
        return there, shutil.disk_usage(self._rooms.root).free

    async def _skip(self, request: Request, count: int) -> None:
        """Read what is not taken, so that a browser reads why: it has to send all of it first."""
        if count <= self._each:
            async for _ in request.stream():
                pass


def _is_kept(request: Request) -> bool:
    return any(part in request.url.path for part in KEEPS)


async def _at_most(request: Request, count: int, full: TooMuch) -> Body:
    async for piece in request.stream():
        count -= len(piece)
        if count < 0:
            raise full
        yield piece


def _bytes(folder: Path) -> int:
    """Return what the files of a folder take; some may go meanwhile."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found += os.stat(Path(where, name), follow_symlinks=False).st_size
    return found
