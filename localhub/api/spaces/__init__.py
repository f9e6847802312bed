"""The room of Spaces: repos that run.

`handlers` is what clients ask of Spaces, `settings` their variables and secrets, `page` redirects
browsers to the Space's own address, `local` has endpoints of this Hub alone. How they run is
`localhub.runtime.spaces`.
"""

from __future__ import annotations

import asyncio

from starlette.routing import BaseRoute

from localhub.api.spaces import handlers, local, page
from localhub.hub import Hub
from localhub.storage.repos import Repo


def routes(hub: Hub) -> list[BaseRoute]:
    """Return this room's paths, and react to what happens to repos."""
    hub.doors.append(hub.spaces.door)
    hub.on_create(lambda repo, body, caller: handlers.on_create(hub, repo, body, caller))
    hub.on_commit(lambda repo, _: _committed(hub, repo))
    hub.on_info(lambda repo, info: handlers.on_info(hub, repo, info))
    hub.on_delete(lambda repo: hub.spaces.forget(repo) if repo.type == "space" else None)
    hub.on_move(lambda old, new: _moved(hub, old, new))
    return [*handlers.routes(hub), *page.routes(hub), *local.routes(hub)]


def _committed(hub: Hub, repo: Repo) -> None:
    if repo.type == "space" and hub.spaces.records.get(repo.id) is not None:
        hub.spaces.committed(repo.id)


def _moved(hub: Hub, old: Repo, new: Repo) -> None:
    """Rename a Space's bill with it, and restart it under its new name."""
    if new.type == "space" and hub.spaces.records.get(new.id) is not None:
        hub.machines.meter.rename("space", old.full_name, new.full_name)
        hub.store.after_commit(lambda: hub.spaces.settings_changed(new.id))


async def start(hub: Hub) -> None:
    """Go on with the Spaces that were running."""
    hub.machines.open()
    await asyncio.to_thread(hub.spaces.open)


async def stop(hub: Hub) -> None:
    """End all Spaces."""
    await asyncio.to_thread(hub.spaces.close)
    hub.machines.close()
