"""Time and memory that strangers' code may take inside this process: a template, a reward."""

from __future__ import annotations

import _thread
import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType


class OverBudget(BaseException):
    """It took longer than it was given. No `except Exception` of a stranger's holds it up."""


@contextmanager
def budget(seconds: float, memory: int) -> Iterator[None]:
    """Raise `OverBudget` or `MemoryError` inside, once it takes more.

    `memory` is in bytes and, like that of `worker.inspecting`, heeded on Linux alone.
    """
    with at_most(seconds), _memory(memory):
        yield


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `OverBudget` inside, once it takes longer.

    In the main thread also out of a sleep, or out of a call over the network; in another thread
    what a library written in C is doing is done first.
    """
    late, done, between = threading.Event(), threading.Event(), threading.Lock()
    heeding, interrupt = _ways(late)

    def end() -> None:
        with between:
            if not done.is_set():
                late.set()
                interrupt()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    with heeding:
        timer.start()
        try:
            yield
            with between:  # what comes after the block is not to be ended
                done.set()
        finally:
            done.set()
            timer.cancel()


def _ways(late: threading.Event) -> tuple[AbstractContextManager[None], Callable[[], object]]:
    """Return how this thread heeds an interrupt that is `late`, and how another causes one."""
    if threading.current_thread() is threading.main_thread():
        return _heeding_signals(late), _signal_main
    here, over = ctypes.c_ulong(threading.get_ident()), ctypes.py_object(OverBudget)
    return nullcontext(), partial(ctypes.pythonapi.PyThreadState_SetAsyncExc, here, over)


@contextmanager
def _heeding_signals(late: threading.Event) -> Iterator[None]:
    """Take SIGINT for the end of the time once it is `late`, and until then for what it was."""

    def heed(number: int, frame: FrameType | None) -> None:
        if late.is_set():
            raise OverBudget
        if callable(before):
            before(number, frame)

    before = signal.signal(signal.SIGINT, heed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _signal_main() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


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
