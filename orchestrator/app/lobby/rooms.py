"""A process of the app for each user who is there, with a folder of its own.

The programs of a user have another one, with their token, in the same folder. It begins with the
first request and ends some time after the last one. A user who comes back gets a new one in the
same folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import site
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orchestrator
from orchestrator.app.lobby.login import Login
from orchestrator.hosted import UPLOADS
from worker.errors import HubtrainError
from worker.home import make_private

PROGRAM = (sys.executable, "-P", "-m", "orchestrator.app.lobby.guest")
MOST = 20
"""Apps at the same time: each takes some 250 MB, and a free Space has 16 GB."""

IDLE_SECONDS = 1800.0
END_SECONDS = 10.0
"""How long an app may take to end when it is told to."""

GUEST = "HUBTRAIN_GUEST"
"""Variable that tells an app whose it is, and the key that it is asked with."""

_PASSED = (
    *("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE"),
    *("HF_ENDPOINT", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables of the lobby that an app gets; the secrets of the Space are not among them."""


class Full(HubtrainError):
    """So many users are there that nobody else gets an app now."""

    def __init__(self) -> None:
        super().__init__("Too many people use this app now. Come back in some minutes.")


@dataclass
class Room:
    """The app of one user."""

    login: Login
    process: asyncio.subprocess.Process
    port: int
    key: str
    scratch: Path
    used: float
    """When it was asked for something last, by a clock that only counts."""

    busy: int = 0
    """Requests that are not answered whole."""

    @property
    def alive(self) -> bool:
        return self.process.returncode is None


class Rooms:
    """All apps. Used from one event loop, which has to be that of the main thread: the kernel ends
    an app with the thread that started it.
    """

    def __init__(
        self,
        root: Path,
        *,
        kept: bool,
        program: Sequence[str] = PROGRAM,
        most: int = MOST,
        idle_seconds: float = IDLE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the folders of users in `root`; `kept` says whether it outlives this process."""
        self.root, self._kept, self._program = root, kept, tuple(program)
        self._most, self._idle, self._now = most, idle_seconds, now
        self._rooms: dict[str, Room] = {}
        self._lock = asyncio.Lock()

    async def of(self, login: Login) -> Room:
        """Return the app of a user, started where it does not run. Raises `Full`."""
        async with self._lock:
            room = self._rooms.get(login.room)
            if room is not None and (not room.alive or _older(room.login, login)):
                await self._end(room)
                room = None
            room = room or await self._begin(login)
            room.used = self._now()
            return room

    def folders(self) -> Iterator[tuple[str, Path]]:
        """Yield where uploads lie and whose they are: those that are kept, and that just come."""
        yield from [(room.login.name, room.scratch) for room in list(self._rooms.values())]
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            yield folder.name, folder / UPLOADS

    async def leave(self, login: Login) -> None:
        """End the app of a user; one that does not run is ended already."""
        async with self._lock:
            if room := self._rooms.get(login.room):
                await self._end(room)

    async def tidy(self) -> None:
        """End the apps of those who have gone, or whose login has ended."""
        async with self._lock:
            for room in list(self._rooms.values()):
                gone = not room.busy and self._now() - room.used > self._idle
                if gone or not room.alive:
                    await self._end(room)

    async def close(self) -> None:
        """End all apps."""
        async with self._lock:
            await asyncio.gather(*map(self._end, list(self._rooms.values())))

    async def _begin(self, login: Login) -> Room:
        await self._make_place()
        scratch = Path(tempfile.mkdtemp(prefix="hubtrain-guest-"))
        for inside in ("here", "tmp"):
            (scratch / inside).mkdir()
        key = secrets.token_urlsafe(32)
        with socket.create_server(("127.0.0.1", 0)) as bound:  # requests wait there for the app
            process = await asyncio.create_subprocess_exec(
                *(*self._program, str(bound.fileno())),
                env=self._environ(login, key, scratch),
                cwd=scratch / "here",
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(bound.fileno(),),
            )
            port = int(bound.getsockname()[1])
        room = Room(login, process, port, key, scratch, self._now())
        self._rooms[login.room] = room
        return room

    async def _make_place(self) -> None:
        """End the app that nobody waits for and that was used least lately, if there are too many.

        Raises `Full`.
        """
        if len(self._rooms) < self._most:
            return
        idle = [room for room in self._rooms.values() if not room.busy or not room.alive]
        if not idle:
            raise Full()
        await self._end(min(idle, key=lambda room: room.used))

    def _environ(self, login: Login, key: str, scratch: Path) -> dict[str, str]:
        """Return all of an app's environment: what it may know, and nothing of anybody else."""
        folder = self.root / login.name
        for made in (self.root, folder):
            make_private(made)
        guest = {
            "name": login.name,
            "until": login.until.isoformat(),
            "kept": self._kept,
            "key": key,
        }
        return {name: os.environ[name] for name in _PASSED if name in os.environ} | {
            "HF_TOKEN": login.token,
            "HF_HOME": str(folder / "hf"),
            "HOME": str(folder),
            "HUBTRAIN_HOME": str(folder),
            GUEST: json.dumps(guest),
            "PYTHONPATH": str(Path(orchestrator.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUSERBASE": site.getuserbase(),  # else it follows from HOME
            "TMPDIR": str(scratch / "tmp"),
        }

    async def _end(self, room: Room) -> None:
        self._rooms.pop(room.login.room, None)
        if room.alive:
            room.process.terminate()
            try:
                await asyncio.wait_for(room.process.wait(), END_SECONDS)
            except TimeoutError:
                room.process.kill()
                await room.process.wait()
        await asyncio.to_thread(shutil.rmtree, room.scratch, ignore_errors=True)


def _older(had: Login, login: Login) -> bool:
    """Whether an app would go on with another token than it should: of programs the last counts."""
    return had.until < login.until or (login.by_program and had.token != login.token)
