"""The Hub as its rooms see it: the things they share, and what happens that others react to.

Knows no routes. `localhub.app` makes one, hands it to every room and lets them subscribe.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localhub.auth.accounts import Accounts
from localhub.auth.caller import Caller
from localhub.clock import Clock
from localhub.faults import Faults
from localhub.runtime.doors import Door
from localhub.runtime.jobs.calendar import Calendar
from localhub.runtime.jobs.dispatcher import Dispatcher
from localhub.runtime.machines import Machines
from localhub.runtime.spaces.scheduler import Scheduler
from localhub.storage.buckets import Buckets
from localhub.storage.content import Content
from localhub.storage.discussions import Discussions
from localhub.storage.repos import Repo, Repos
from localhub.storage.store import Store

__all__ = ["Clock", "Hub", "Options"]

LOG = logging.getLogger("localhub")

Created = Callable[[Repo, dict[str, Any], Caller], None]
Committed = Callable[[Repo, str], None]
Described = Callable[[Repo, dict[str, Any]], None]
Happened = Callable[[Repo], None]
Pushed = Callable[[Repo, str, str, str], None]
Moved = Callable[[Repo, Repo], None]


@dataclass(frozen=True)
class Options:
    """Sizes (bytes) and counts above which the protocol differs; tests make them small."""

    lfs_above: int = 10 * 1024 * 1024
    multipart_above: int = 64 * 1024 * 1024
    part_size: int = 16 * 1024 * 1024
    page: int = 1000
    """Items of a list in one answer."""
    api_quota: int = 100_000
    """Requests to the API, for one user, in five minutes."""


class Hub:
    """What every room is given. The attributes are shared, the `on_…` methods subscribe.

    `endpoint` is the address clients use, without a slash at its end; `loop` is the event
    loop, set before any room starts (handlers run in worker threads). `memory` has, by flavor, the
    bytes really allowed where tests want fewer than the flavor promises.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        data: Path,
        endpoint: str,
        *,
        clock: Clock | None = None,
        options: Options | None = None,
        memory: Mapping[str, int] | None = None,
    ) -> None:
        self.data = data
        self.endpoint = endpoint.rstrip("/")
        self.clock = clock or Clock()
        self.options = options or Options()
        self.store = Store(data)
        self.accounts = Accounts(self.store, self.clock.now)
        self.content = Content(self.store)
        self.repos = Repos(self.store, self.content, self.clock.now)
        self.buckets = Buckets(self.store, self.content.large)
        self.discussions = Discussions(self.store)
        self.faults = Faults()
        self.doors: list[Callable[[str], Door | None]] = []
        self.machines = Machines(self.store, data, memory or {})
        self.spaces = Scheduler(self, self.machines)
        self.jobs = Dispatcher(self, self.machines)
        self.calendar = Calendar(self.store, self.jobs)
        self.admin_token = self.secret("admin")
        self._created: list[Created] = []
        self._committed: list[Committed] = []
        self._pushed: list[Pushed] = []
        self._described: list[Described] = []
        self._deleted: list[Happened] = []
        self._moved: list[Moved] = []

    @property
    def port(self) -> int:
        """The port of `endpoint`."""
        return int(self.endpoint.rsplit(":", 1)[1])

    @property
    def storage(self) -> str:
        """Where large files are sent to and fetched from: the same server by another name.

        As with the real Hub it is another origin, to which clients send no token.
        """
        host = self.endpoint.rpartition(":")[0].removeprefix("http://")
        return f"http://{'127.0.0.1' if host == 'localhost' else 'localhost'}:{self.port}"

    def secret(self, name: str) -> str:
        """Return a random value that stays the same for this data folder; made when missing."""
        path = self.data / f"{name}.secret"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16))
        return path.read_text()

    def on_create(self, react: Created) -> None:
        """Call `react(repo, body, caller)` when a repo is created, inside its transaction.

        `body` is the JSON of the request, `caller` who makes it. Raising a `Refusal` undoes the
        creation; processes are started from `store.after_commit`, not here.
        """
        self._created.append(react)

    def on_commit(self, react: Committed) -> None:
        """Call `react(repo, sha)` when the commit `sha` is durable on `main`, from its thread."""
        self._committed.append(react)

    def on_push(self, react: Pushed) -> None:
        """Call `react(repo, ref, old, new)` when any ref moved; `old` and `new` are commits."""
        self._pushed.append(react)

    def on_info(self, react: Described) -> None:
        """Call `react(repo, info)` to add keys to what `GET /api/{type}s/{id}` answers."""
        self._described.append(react)

    def on_delete(self, react: Happened) -> None:
        """Call `react(repo)` when a repo is deleted, inside its transaction, rows still there."""
        self._deleted.append(react)

    def on_move(self, react: Moved) -> None:
        """Call `react(old, new)` inside the transaction that renames a repo; `id` stays."""
        self._moved.append(react)

    def created(self, repo: Repo, body: dict[str, Any], caller: Caller) -> None:
        """Tell the rooms that `repo` is being created."""
        for react in self._created:
            react(repo, body, caller)

    def committed(self, repo: Repo, sha: str) -> None:
        """Tell the rooms of a new commit on main; an error in a room does not undo it."""
        for react in self._committed:
            try:
                react(repo, sha)
            except Exception:
                LOG.exception("after commit %s of %s", sha, repo.full_name)

    def pushed(self, repo: Repo, ref: str, old: str, new: str) -> None:
        """Tell the rooms that a ref moved."""
        for react in self._pushed:
            react(repo, ref, old, new)

    def described(self, repo: Repo, info: dict[str, Any]) -> None:
        """Let the rooms add to the description of `repo`."""
        for react in self._described:
            react(repo, info)

    def deleted(self, repo: Repo) -> None:
        """Tell the rooms that `repo` is being deleted."""
        for react in self._deleted:
            react(repo)

    def moved(self, old: Repo, new: Repo) -> None:
        """Tell the rooms that `old` is called `new` from now on."""
        for react in self._moved:
            react(old, new)
