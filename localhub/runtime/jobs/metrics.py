"""What a Job uses, sampled every second while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil

from localhub.runtime.prices import Flavor
from localhub.runtime.processes import Run

EVERY = 1.0
"""Seconds between two samples."""


async def samples(
    job: str, flavor: Flavor, running: Callable[[str], Run | None], at_work: Callable[[], bool]
) -> AsyncIterator[bytes | None]:
    """Yield a sample every second, as JSON, while the Job is `at_work`; None while it is queued."""
    before, since = 0.0, time.monotonic()
    while await asyncio.to_thread(at_work):
        run = running(job)
        cpu, memory = await asyncio.to_thread(used, run) if run else (0.0, 0)
        now = time.monotonic()
        cores = max(0.0, cpu - before) / max(now - since, EVERY) if before else 0.0
        before, since = cpu, now
        yield json.dumps(_sample(job, flavor, cores, memory)).encode()
        await asyncio.sleep(EVERY)


def used(run: Run) -> tuple[float, int]:
    """Return the CPU seconds spent so far and the bytes of memory held."""
    cpu, memory = 0.0, 0
    for process in run.processes():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_info().rss
    return cpu, memory


def _sample(job: str, flavor: Flavor, cores: float, memory: int) -> dict[str, Any]:
    return {
        "cpu_usage_pct": round(100 * cores / flavor.vcpu),
        "cpu_millicores": flavor.vcpu * 1000,
        "memory_used_bytes": memory,
        "memory_total_bytes": flavor.memory_limit,
        "rx_bps": 0,
        "tx_bps": 0,
        "gpus": {},
        "replica": job[-5:],
    }
