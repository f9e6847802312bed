"""Buckets: storage without history, by the API that stock clients use, and mounted in runs.

`files` is what they hold, `api` and `batch` how it is read and changed, `mounts` how a Space or a
Job has one as a folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of buckets; no other room answers below their addresses."""
    from localhub.buckets import api, batch

    hub.on_delete(lambda repo: hub.buckets.forget(repo.id))
    return [*batch.routes(hub), *api.routes(hub)]
