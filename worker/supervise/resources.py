"""The machine as it is found: hardware, versions, use and limits of its memory.

No torch: GPUs are asked about through `nvidia-smi`, where there is one.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from worker import __version__ as hubtrain
from worker.hardware import nvidia_smi
from worker.host import Host
from worker.show.usage import Gpu, Usage
from worker.supervise import cgroup

_QUERY = ("name", "utilization.gpu", "memory.used", "memory.total")


def usage(host: Host, held: int) -> Usage:
    """Return how busy the machine is; `held` is what the trainer holds of its memory, in bytes."""
    return Usage(psutil.cpu_percent() / 100, held + own_bytes(), memory_limit(host), gpus())


def own_bytes() -> int:
    """Return the memory this very process holds, in bytes."""
    return int(psutil.Process().memory_info().rss)


def hardware(host: Host) -> dict[str, Any]:
    """Return what this machine is, for the record."""
    found = gpus()
    return {
        "flavor": host.flavor,
        "platform": platform.platform(),
        "cpus": host.cores or _cpus(),
        "memory_bytes": memory_limit(host),
        "gpus": [gpu.name for gpu in found],
        "gpu_memory_bytes": sum(gpu.total for gpu in found),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of these packages, as far as they are here, of Python and of hubtrain."""
    found = {"python": platform.python_version(), "hubtrain": hubtrain}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def memory_limit(host: Host) -> int:
    """Return the main memory this job may hold, in bytes: the least of what limits it."""
    limits = [host.memory, cgroup.memory_limit(), psutil.virtual_memory().total]
    return min(limit for limit in limits if limit)


def gpus() -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs as they are now; empty where there are none. Takes about 30 ms."""
    return tuple(_gpu(*row) for row in nvidia_smi(*_QUERY))


def _gpu(name: str, busy: str, used: str, total: str) -> Gpu:
    return Gpu(name, _float(busy) / 100, _float(used) * 2**20, _float(total) * 2**20)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # `[N/A]` on shared GPUs
        return 0.0


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
