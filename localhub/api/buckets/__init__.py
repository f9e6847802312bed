"""Buckets: storage without history, by the API that stock clients use, and mounted in runs.

`handlers` and `batch` are how what they hold is read and changed, `localhub.storage.buckets` is
what they hold, `localhub.runtime.mounts` how a Space or a Job has one as a folder.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from localhub.api.buckets import batch, handlers
from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of buckets; no other room answers below their addresses."""
    hub.on_delete(lambda repo: hub.buckets.forget(repo.id))
    return [*batch.routes(hub), *handlers.routes(hub)]
