"""This machine as a flavor: its memory, its cores, and its GPUs, as their driver tells of them."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress

from backends.base import Flavor
from worker.hardware import nvidia_smi


def this_machine() -> Flavor:
    """Return this machine as a flavor."""
    gpus = _gpus()
    return Flavor(
        name="local",
        description=f"this machine ({platform.system()} {platform.machine()})",
        usd_per_hour=0.0,
        memory_bytes=_memory(),
        accelerator=gpus[0][0] if gpus else _shared_gpu(),
        accelerators=len(gpus),
        vram_bytes=sum(memory for _, memory in gpus),
        cpus=float(os.cpu_count() or 1),
    )


def _memory() -> float:
    if sys.platform != "win32":
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ImportError):  # comes with what training needs
        import psutil

        return float(psutil.virtual_memory().total)
    return 0.0


def _shared_gpu() -> str | None:
    """Return the GPU of a Mac, which trains in the main memory; none on other machines."""
    mac = sys.platform == "darwin" and platform.machine() == "arm64"
    return "Apple GPU" if mac else None


def _gpus() -> list[tuple[str, float]]:
    """Return the model and memory in bytes of every GPU that the driver tells of."""
    found: list[tuple[str, float]] = []
    for name, mebibytes in nvidia_smi("name", "memory.total"):
        with suppress(ValueError):  # `[N/A]`
            found.append((name, float(mebibytes) * 2**20))
    return found[: _shown(len(found))]


def _shown(there: int) -> int:
    """Return how many GPUs this user lets programs see, of so many."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return there
    names = [name.strip() for name in chosen.split(",")]
    return min(there, next((n for n, name in enumerate(names) if name in {"", "-1"}), len(names)))
