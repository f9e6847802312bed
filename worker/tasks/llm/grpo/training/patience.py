"""A limit of time on code of the user's that runs in the main thread.

A thread interrupts it as Ctrl-C would, also out of a sleep or a call over the network.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TooLong(Exception):
    """What ran under a limit was not done by then."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `TooLong` where the block takes longer; no limit outside of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    late, done, between = threading.Event(), threading.Event(), threading.Lock()

    def interrupt() -> None:
        with between:
            if not done.is_set():
                late.set()
                _interrupt_main()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
    try:
        yield
        with between:
            done.set()
    except KeyboardInterrupt:
        if late.is_set():
            raise TooLong from None
        raise
    finally:
        done.set()
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def _interrupt_main() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
