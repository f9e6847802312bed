"""The way to a Docker engine behind `ssh`: its socket, forwarded to one of this machine.

OpenSSH does it, so its settings, keys and agent hold. The machine needs an SSH server, and no
program of Docker's but the engine.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from backends.errors import PlanRefused
from worker.ending import end
from worker.errors import HubUnreachable

SSH = "ssh://"
SOCKET = "/var/run/docker.sock"
CONNECT_SECONDS = 20
END_SECONDS = 2
"""How long `ssh` may take to end: a signal that comes just before it waits is lost on it."""

LOOK_SECONDS = 0.05


@contextmanager
def tunnel(address: str) -> Iterator[str]:
    """Yield the address, on this machine, of the engine at `ssh://[USER@]HOST[:PORT][/SOCKET]`.

    Raises `HubUnreachable` with what `ssh` says, `PlanRefused` for an address without a host.
    """
    if not urlsplit(address).hostname:
        raise PlanRefused(f"{address} names no host.", fix="DOCKER_HOST=ssh://USER@HOST")
    with tempfile.TemporaryDirectory(prefix="hubtrain-") as folder:
        socket = Path(folder, "docker.sock")  # in a folder that only this user may enter
        with subprocess.Popen(
            _command(address, socket),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us, who end it in order
        ) as ssh:
            try:
                _wait(ssh, socket, address)
                yield f"unix://{socket}"
            finally:
                end(ssh, END_SECONDS)


def _command(address: str, socket: Path) -> list[str]:
    there = urlsplit(address)
    forward = ("-nNT", "-L", f"{socket}:{there.path or SOCKET}", "-o", "ExitOnForwardFailure=yes")
    never_asks = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}")
    return ["ssh", *forward, *never_asks, "-o", "ServerAliveInterval=15", *_host(address)]


def _host(address: str) -> list[str]:
    there = urlsplit(address)
    who = f"{there.username}@{there.hostname}" if there.username else str(there.hostname)
    return [*(["-p", str(there.port)] if there.port else []), who]


def _wait(ssh: subprocess.Popen[str], socket: Path, address: str) -> None:
    """Return once the socket is there. Raises `HubUnreachable`."""
    until = time.monotonic() + CONNECT_SECONDS
    while not socket.exists():
        if ssh.poll() is not None:
            said = ssh.stderr.read().strip().splitlines() if ssh.stderr else []
            raise HubUnreachable(
                f"No way to the Docker engine at {address}: {said[-1] if said else 'ssh ended'}",
                fix=f"Try it: {' '.join(['ssh', *_host(address)])}",
            )
        if time.monotonic() > until:
            raise HubUnreachable(f"No way to the Docker engine at {address}: ssh says nothing.")
        time.sleep(LOOK_SECONDS)
