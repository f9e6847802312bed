"""The app of one guest: what the lobby starts, with an open port and its key.

`python -m orchestrator.app.lobby.guest FD`; who the guest is stands in the environment, and is
taken out of it before anything else runs.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from datetime import datetime

from orchestrator.app.base import App, pages
from orchestrator.app.lobby.rooms import GUEST
from orchestrator.hosted import Guest
from orchestrator.jobs.client import Client
from orchestrator.jobs.remote import remote
from orchestrator.words import count
from worker.prctl import ends_with_parent, keep_secrets


def main() -> None:
    """Serve the app until the lobby ends it, or ends."""
    ends_with_parent()
    keep_secrets()
    from orchestrator.app.gate import Door
    from orchestrator.app.server import serve

    bound = socket.socket(fileno=int(sys.argv[1]))
    told = json.loads(os.environ.pop(GUEST))
    guest = Guest(told["name"], datetime.fromisoformat(told["until"]), told["kept"])
    app = App(Client(guest=guest), pages=pages(), own_machine=False)
    looking = "looking at the Hub for jobs of yours that are not listed here"
    serve(
        app,
        Door(told["key"], password=False),
        bound,
        lambda: app.board.do(looking, lambda: look_for_jobs(app.client, guest.name)),
    )


def look_for_jobs(client: Client, name: str) -> str:
    """Put on record what the Hub has of jobs that a user launched, and say how many they are.

    Those of their organisations are among them.
    """
    found = remote(client, client.accounts(), made_by=name)
    jobs = [record for record in found.jobs if record.story.handle]
    for record in jobs:
        client.record(str(record.story.handle))
    return f"{count(len(jobs), 'job')} found at the Hub" if jobs else "All your jobs are listed."


if __name__ == "__main__":
    main()
