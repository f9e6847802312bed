"""The room of Jobs: commands that run once, or on a schedule.

`api` is what clients ask for, `dispatcher` decides and records, `shift` is one Job at work,
`scheduled` and `cron` start Jobs by themselves, `metrics` is what they use, `records` what is kept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from localhub.hub import Hub


def routes(hub: Hub) -> list[BaseRoute]:
    """Return this room's paths."""
    from localhub.jobs import api, scheduled

    hub.doors.append(hub.jobs.door)
    hub.jobs.calendar = scheduled.Calendar(hub)
    return [*api.routes(hub), *scheduled.routes(hub.jobs.calendar)]


async def start(hub: Hub) -> None:
    """Go on with the Jobs that were running, and start scheduled ones when they are due."""
    await asyncio.to_thread(hub.jobs.open)
    hub.jobs.calendar.thread.start()


async def stop(hub: Hub) -> None:
    """End all Jobs."""
    hub.jobs.calendar.ended.set()
    await asyncio.to_thread(hub.jobs.close)
