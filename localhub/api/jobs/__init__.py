"""The room of Jobs: commands that run once, or on a schedule.

`handlers` is what clients ask of Jobs, `scheduled` of those that start by themselves. How they run
is `localhub.runtime.jobs`.
"""

from __future__ import annotations

import asyncio

from starlette.routing import BaseRoute

from localhub.api.jobs import handlers, scheduled
from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return this room's paths."""
    hub.doors.append(hub.jobs.door)
    return [*handlers.routes(hub), *scheduled.routes(hub)]


async def start(hub: Hub) -> None:
    """Go on with the Jobs that were running, and start scheduled ones when they are due."""
    await asyncio.to_thread(hub.jobs.open)
    hub.calendar.thread.start()


async def stop(hub: Hub) -> None:
    """End all Jobs."""
    hub.calendar.ended.set()
    await asyncio.to_thread(hub.jobs.close)
