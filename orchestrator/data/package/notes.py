"""Notes in a repo of packed data: that a job here is about to read it, that it is being removed.

They are tags, of which the Hub makes each name once. Whoever uses data writes that down and then
looks whether it is being removed; whoever removes it writes that down and then looks whether it is
used. So of two computers at least one sees the other, and it is the one that removes that gives in.
"""

from __future__ import annotations

import hashlib
import platform
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from worker.clock import Clock
from worker.errors import NotThere
from worker.home import home
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


def note_use(repo_id: str, hub: HfApi, clock: Clock) -> bool:
    """Note that a job is about to read the data; false if it is gone. Raises `HubError`."""
    mine = f"used-{clock.now().astimezone(UTC).strftime(_FORMAT)}-{_here()}"
    try:
        _tag(repo_id, mine, hub, clock)
        for _ in range(LOOKS):
            there = _tags(repo_id, hub, clock)
            if REMOVING not in there:
                break
            clock.sleep(LOOK_SECONDS)
        old = (one for one in there if one != mine and _by_me(one))
        for name in (*old, *([REMOVING] if REMOVING in there else [])):
            _untag(repo_id, name, hub, clock)
    except NotThere:
        return False
    return True


def used_elsewhere(repo_id: str, hub: HfApi, clock: Clock) -> bool:
    """Whether another computer has noted just now that it uses the data. Raises `HubError`."""
    freshest = clock.now() - timedelta(seconds=USE_SECONDS)
    uses = (_USED.fullmatch(name) for name in _tags(repo_id, hub, clock))
    return any(
        datetime.strptime(use[1], _FORMAT).replace(tzinfo=UTC) > freshest
        for use in uses
        if use and use[2] != _here()
    )


def may_remove(repo_id: str, hub: HfApi, clock: Clock) -> bool:
    """Note that the data is being removed; false, and no note, where it is used after all.

    Raises `NotThere` where it is gone, and `HubError`.
    """
    _tag(repo_id, REMOVING, hub, clock)
    if not used_elsewhere(repo_id, hub, clock):
        return True
    _untag(repo_id, REMOVING, hub, clock)
    return False


def _by_me(name: str) -> bool:
    use = _USED.fullmatch(name)
    return bool(use and use[2] == _here())


def _here() -> str:
    """Return what tells this computer and folder of records from others."""
    return hashlib.sha256(f"{platform.node()}\0{home()}".encode()).hexdigest()[:8]


def _tags(repo_id: str, hub: HfApi, clock: Clock) -> set[str]:
    ask = partial(hub.list_repo_refs, repo_id, repo_type="dataset")
    return {tag.name for tag in patiently(f"looking at {repo_id}", ask, clock).tags}


def _tag(repo_id: str, name: str, hub: HfApi, clock: Clock) -> None:
    make = partial(hub.create_tag, repo_id, repo_type="dataset", tag=name, exist_ok=True)
    patiently(f"noting the use of {repo_id}", make, clock)


def _untag(repo_id: str, name: str, hub: HfApi, clock: Clock) -> None:
    remove = partial(hub.delete_tag, repo_id, repo_type="dataset", tag=name)
    with suppress(NotThere):
        patiently(f"noting the use of {repo_id}", remove, clock)
