"""Notes in a repo that several computers use: that one is about to, that it is being removed.

They are tags, of which the Hub makes each name once. Whoever uses a repo writes that down and then
looks whether it is being removed; whoever removes it writes that down and then looks whether it is
used. So of two at least one sees the other, and it is the one that removes that gives in.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from worker.clock import Clock
from worker.errors import NotThere
from worker.hubclient import patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REMOVING = "removing"
_FORMAT = "%Y%m%dT%H%M%SZ"
_USED = re.compile(r"used-(\d{8}T\d{6}Z)-([0-9a-f]{8})")

USE_SECONDS = 1800.0
"""How long a use counts: until then its job has a machine, by which it is known."""

LOOKS, LOOK_SECONDS = 60, 1.0
"""How often, and at what interval, is looked whether what is being removed is gone. A note that is
there for longer is of a process that ended."""


class Notes:
    """The notes in one repo. `kind` is what the Hub calls it: `dataset`, `space`.

    `user` tells those that use it apart; its own notes keep nobody from removing it. Without one,
    all notes count.
    """

    def __init__(
        self, api: HfApi, repo_id: str, kind: str, clock: Clock, user: str | None = None
    ) -> None:
        self.api, self.repo_id, self.kind, self.clock = api, repo_id, kind, clock
        self.user = hashlib.sha256(user.encode()).hexdigest()[:8] if user else None

    def use(self, more_seconds: float = 0.0) -> bool:
        """Note that the repo is about to be used; false if it is gone. Raises `HubError`.

        That counts for `USE_SECONDS`, and `more_seconds`.
        """
        until = self.clock.now() + timedelta(seconds=more_seconds)
        mine = f"used-{until.astimezone(UTC).strftime(_FORMAT)}-{self.user}"
        try:
            self._tag(mine)
            for _ in range(LOOKS):
                there = self._tags()
                if REMOVING not in there:
                    break
                self.clock.sleep(LOOK_SECONDS)
            old = (one for one in there if one != mine and self._is_old(one, until))
            for name in (*old, *([REMOVING] if REMOVING in there else [])):
                self._untag(name)
        except NotThere:
            return False
        return True

    def used_until(self) -> datetime | None:
        """Return until when, at most, others use it; none if nobody does. Raises `HubError`."""
        uses = [use for use in map(_read, self._tags()) if use and use[1] != self.user]
        return max((when for when, _ in uses if self._counts(when)), default=None)

    def may_remove(self) -> bool:
        """Note that the repo is being removed; false, and no note, where others use it after all.

        Raises `NotThere` where it is gone, and `HubError`.
        """
        self._tag(REMOVING)
        if self.used_until() is None:
            return True
        self.stays()
        return False

    def stays(self) -> None:
        """Take back that the repo is being removed. Raises `HubError`."""
        self._untag(REMOVING)

    def _counts(self, when: datetime) -> bool:
        return when > self.clock.now() - timedelta(seconds=USE_SECONDS)

    def _is_old(self, name: str, until: datetime) -> bool:
        """Whether a note says nothing more: one of ours that ends no later, or one that is over."""
        if (use := _read(name)) is None:
            return False
        return not self._counts(use[0]) or (use[1] == self.user and use[0] <= until)

    def _tags(self) -> set[str]:
        ask = partial(self.api.list_repo_refs, self.repo_id, repo_type=self.kind)
        return {tag.name for tag in patiently(f"looking at {self.repo_id}", ask, self.clock).tags}

    def _tag(self, name: str) -> None:
        make = partial(
            self.api.create_tag, self.repo_id, repo_type=self.kind, tag=name, exist_ok=True
        )
        patiently(f"noting the use of {self.repo_id}", make, self.clock)

    def _untag(self, name: str) -> None:
        remove = partial(self.api.delete_tag, self.repo_id, repo_type=self.kind, tag=name)
        with suppress(NotThere):
            patiently(f"noting the use of {self.repo_id}", remove, self.clock)


def _read(name: str) -> tuple[datetime, str] | None:
    """Return time and user of a note; none of a tag that is none."""
    if use := _USED.fullmatch(name):
        with suppress(ValueError):  # digits that are no time
            return datetime.strptime(use[1], _FORMAT).replace(tzinfo=UTC), use[2]
    return None
