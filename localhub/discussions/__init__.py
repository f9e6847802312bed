"""The room of discussions and pull requests of repos.

`records` is what is kept, `api` what clients ask for, `merging` puts a pull request into main.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return this room's paths."""
    from localhub.discussions import api

    hub.on_delete(lambda repo: hub.discussions.forget(repo.id))
    return api.routes(hub)
