"""What a process of a benchmark has used of this machine so far."""

from __future__ import annotations

import psutil


def cpu_seconds(pid: int) -> float:
    """Return the CPU-seconds that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
