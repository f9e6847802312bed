"""Says what the trainer is busy with while it does not step, and that it still lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.contract import Event, Phase

BUSY_SHARE = 0.01
"""Share of a core that shows the process is at work and not stuck."""


@contextmanager
def phase(
    emit: Callable[[Event], None],
    name: str,
    *,
    every_seconds: float = 20.0,
    at_once: bool = True,
    worked: Callable[[], float] = time.process_time,
) -> Iterator[None]:
    """Emit a `Phase` now, and again after every stretch in which this process did some work.

    Without `at_once` not now: for what is mostly over before anybody would read it.

    A process that waits for nothing stays silent, so that its supervisor can find it hung:
    `worked` says how many seconds all of its threads were at work so far.
    """
    done = threading.Event()
    told = (emit, name, every_seconds, worked, done)
    beat = threading.Thread(target=_beat, args=told, daemon=True)
    if at_once:
        emit(Phase(name=name))
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()


def _beat(
    emit: Callable[[Event], None],
    name: str,
    every_seconds: float,
    worked: Callable[[], float],
    done: threading.Event,
) -> None:
    before = worked()
    while not done.wait(every_seconds):
        now = worked()
        if now - before >= BUSY_SHARE * every_seconds:
            emit(Phase(name=name))
        before = now
