"""The room of discussions and pull requests of repos.

`handlers` is what clients ask for, `merging` puts a pull request into main. What is kept of them
is `localhub.storage.discussions`.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from localhub.api.discussions import handlers
from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return this room's paths."""
    hub.on_delete(lambda repo: hub.discussions.forget(repo.id))
    return handlers.routes(hub)
