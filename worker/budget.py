"""Time and memory that strangers' code may take inside this process: a chat template, for one."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class OverBudget(Exception):
    """It took longer than it was given."""


@contextmanager
def budget(seconds: float, memory: int) -> Iterator[None]:
    """Raise `OverBudget` or `MemoryError` inside, once it takes more.

    Time ends Python code alone, and not what a library written in C is doing. `memory` is in bytes
    and, like that of `worker.inspecting`, heeded on Linux alone.
    """
    here = ctypes.c_ulong(threading.get_ident())
    over = ctypes.py_object(OverBudget)
    done, between = threading.Event(), threading.Lock()

    def end() -> None:
        with between:
            if not done.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(here, over)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        with _memory(memory):
            yield
    finally:
        with between:  # what comes after the block is not to be ended
            done.set()
        timer.cancel()


@contextmanager
def _memory(most: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    taken = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (_least(taken + most, before, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def _least(*limits: int) -> int:
    return min(limit for limit in limits if limit >= 0)  # -1 is no limit
