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
    emit: Callable[[Event], None], name: str, *, every_seconds: float = 20.0, at_once: bool = True
) -> Iterator[None]:
    """Emit a `Phase` now, and again after every stretch in which this process did some work.

    Without `at_once` not now: for what is mostly over before anybody would read it.

    A process that waits for nothing stays silent, so that its supervisor can find it hung.
    """
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(emit, name, every_seconds, done), daemon=True)
    if at_once:
        emit(Phase(name=name))
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()


def _beat(
    emit: Callable[[Event], None], name: str, every_seconds: float, done: threading.Event
) -> None:
    worked = time.process_time()
    while not done.wait(every_seconds):
        now = time.process_time()
        if now - worked >= BUSY_SHARE * every_seconds:
            emit(Phase(name=name))
        worked = now
