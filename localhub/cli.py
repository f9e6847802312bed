"""The command `python -m localhub`: its users, its port and its data folder.

With `--json` the one line on stdout is the protocol by which other programs start a Hub.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import uvicorn

from localhub.app import application
from localhub.errors import Refusal
from localhub.hub import Hub, Options
from localhub.runtime.containers import Containers
from localhub.runtime.prices import memory_option


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="hubtrain hub",
        description="A Hub on loopback: repos, Spaces and Jobs that really run.",
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on")
    made.add_argument("--port", type=int, default=0, help="0 takes any free port")
    made.add_argument("--data", type=Path, help="folder to keep everything in; default: a new one")
    _of_accounts(made)
    made.add_argument("--json", action="store_true", help="print one JSON line when ready")
    made.add_argument(
        "--until-eof", action="store_true", help="end when standard input does, with its starter"
    )
    made.add_argument("--verbose", action="store_true", help="log every request on stderr")
    _of_machines(made)
    sizes = made.add_argument_group("sizes in bytes at which the protocol changes its ways")
    for name, default in vars(Options()).items():
        sizes.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    return made


def _of_accounts(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME[:ROLE[:PLAN]]",
        help="a user, what the token may do (write, read, fineGrained), and pro or free",
    )
    made.add_argument(
        "--org",
        action="append",
        default=[],
        metavar="NAME[@PLAN]:USER[:ROLE],…",
        help="an organisation on a plan (team, free), its members and their roles (admin)",
    )


def _of_machines(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--flavor",
        action="append",
        default=[],
        type=memory_option,
        metavar="NAME:memory=SIZE",
        help="allow a flavor less memory than it promises, as in cpu-basic:memory=1.5Gi",
    )
    made.add_argument(
        "--build-seconds",
        type=float,
        default=0.0,
        help="how long a Space's build takes beyond what it really does",
    )
    made.add_argument(
        "--runner",
        choices=("process", "docker"),
        default="process",
        help="what Docker Spaces are: their command as a process, or a container, really built",
    )


def main(argv: list[str] | None = None) -> int:
    """Run a Hub until SIGTERM or SIGINT; return the exit code."""
    options = parser().parse_args(argv)
    data = options.data or Path(tempfile.mkdtemp(prefix="localhub-"))
    try:
        listening = listen(options.host, options.port)
    except OSError as error:
        sys.stderr.write(f"localhub: cannot listen on {options.host}:{options.port}: {error}\n")
        return 2
    endpoint = f"http://{options.host}:{listening.getsockname()[1]}"
    sizes = Options(**{name: getattr(options, name) for name in vars(Options())})
    hub = Hub(data.resolve(), endpoint, options=sizes, memory=dict(options.flavor))
    hub.machines.conditions.build_seconds = options.build_seconds
    try:
        if options.runner == "docker":
            hub.machines.containers = Containers(hub.data)
            hub.machines.containers.check()
        populate(hub, options.user or ["user:write"], options.org)
    except (Refusal, RuntimeError) as refusal:
        sys.stderr.write(f"localhub: {refusal}\n")
        return 2
    if options.until_eof:
        threading.Thread(target=_end_with_input, daemon=True, name="until-eof").start()
    serve(hub, listening, as_json=options.json, verbose=options.verbose)
    return 0


def _end_with_input() -> None:
    """End as by SIGTERM once nobody holds the other end of standard input any more."""
    while sys.stdin.buffer.read(4096):
        pass
    signal.raise_signal(signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any that is free."""
    # Named as TCP, since asyncio sends small answers at once (TCP_NODELAY) only on such sockets.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(256)
    return made


def populate(hub: Hub, users: list[str], orgs: list[str]) -> None:
    """Make the users and organisations of the command line; existing ones keep their tokens."""
    for user in users:
        name, _, rest = user.partition(":")
        role, _, plan = rest.partition(":")
        hub.accounts.add(name, plan=plan or "pro")
        if not hub.accounts.tokens_of(name):
            hub.accounts.add_token(name, role or "write")
    for org in orgs:
        title, _, members = org.partition(":")
        name, _, plan = title.partition("@")
        hub.accounts.add(name, kind="org", plan=plan or "team")
        for member in filter(None, members.split(",")):
            user, _, role = member.partition(":")
            hub.accounts.set_role(name, user, role or "admin")


def ready(hub: Hub) -> dict[str, Any]:
    """Return what the ready line says."""
    users = [
        {
            "name": user.name,
            "plan": user.plan,
            "orgs": hub.accounts.orgs_of(user.name),
            "role": token.role,
            "token": token.value,
        }
        for user in hub.accounts.users()
        for token in hub.accounts.tokens_of(user.name)[:1]
    ]
    return {
        "endpoint": hub.endpoint,
        "pid": os.getpid(),
        "data": str(hub.data),
        "admin": hub.admin_token,
        "users": users,
    }


def announce(hub: Hub, *, as_json: bool) -> None:
    """Say on stdout that the Hub answers, and to whom."""
    line = ready(hub)
    if as_json:
        sys.stdout.write(json.dumps(line) + "\n")
    else:
        people = "".join(
            f"  {user['name']:12} {user['role']:12} {user['token']}\n" for user in line["users"]
        )
        sys.stdout.write(
            f"A Hub listens on {hub.endpoint} and keeps its data in {hub.data}\n{people}"
            f"Use it:  export HF_ENDPOINT={hub.endpoint} HF_HUB_DISABLE_XET=1\n"
        )
    sys.stdout.flush()


class Server(uvicorn.Server):
    """A server that announces itself once it answers."""

    def __init__(self, config: uvicorn.Config, hub: Hub, *, as_json: bool) -> None:
        super().__init__(config)
        self.hub = hub
        self.as_json = as_json

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        if self.started:
            announce(self.hub, as_json=self.as_json)


def serve(hub: Hub, listening: socket.socket, *, as_json: bool, verbose: bool) -> None:
    """Serve until a signal comes; open streams get two seconds to end."""
    config = uvicorn.Config(
        application(hub),
        log_level="info" if verbose else "warning",
        access_log=verbose,
        proxy_headers=False,
        server_header=False,
        date_header=False,  # uvicorn's own may be seconds old; `limits` says the time
        lifespan="on",
        timeout_graceful_shutdown=2,
        # Longer than clients keep a connection, so that they are the ones to close it.
        timeout_keep_alive=75,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal it was ended by once more; this end is a good one.
        signal.signal(number, lambda *_: None)
    Server(config, hub, as_json=as_json).run(sockets=[listening])
