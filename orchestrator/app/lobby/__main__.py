"""Serves the app of several users, on a Space of the Hub, until the process ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.app.lobby.login import SigningIn
from orchestrator.app.lobby.rooms import Rooms
from orchestrator.app.server import PORT, listening
from worker.clock import SystemClock
from worker.errors import HubtrainError
from worker.home import make_private

STORAGE = Path("/data")
"""Where a Space has persistent storage, if it has any."""


def root_of(environ: Mapping[str, str], storage: Path = STORAGE) -> tuple[Path, bool]:
    """Return where users' folders are, and whether they outlive this process's machine."""
    if chosen := environ.get("HUBTRAIN_HOME"):
        return Path(chosen) / "users", True
    if storage.is_dir() and os.access(storage, os.W_OK):
        return storage / "hubtrain" / "users", True
    return Path.home() / ".hubtrain" / "users", False


async def serve(environ: Mapping[str, str]) -> None:
    """Serve it. Raises `HubtrainError` where nobody could sign in."""
    import uvicorn

    from orchestrator.app.lobby.front import Lobby

    clock = SystemClock()
    signing_in = SigningIn(environ, clock)
    root, kept = root_of(environ)
    make_private(root.parent)
    bound = listening(
        environ.get("GRADIO_SERVER_NAME") or "127.0.0.1",
        int(environ.get("GRADIO_SERVER_PORT") or PORT),
    )
    async with Lobby(signing_in, Rooms(root, kept=kept), clock) as lobby:
        how: dict[str, Any] = {"ws": "none", "lifespan": "off", "timeout_graceful_shutdown": 1}
        config = uvicorn.Config(lobby, log_config=None, access_log=False, **how)
        await uvicorn.Server(config).serve(sockets=[bound])


if __name__ == "__main__":
    from worker.prctl import keep_secrets

    keep_secrets()
    try:
        asyncio.run(serve(os.environ))
    except HubtrainError as error:
        sys.exit(str(error))
