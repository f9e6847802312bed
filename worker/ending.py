"""How a process that was started for one purpose is ended, once that is served."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import Any


def end(process: subprocess.Popen[Any], grace_seconds: float) -> None:
    """Ask a process to end, and kill it if it has not after `grace_seconds`. May repeat.

    What it has started is its own to end. A killed process is still to be waited for.
    """
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace_seconds)
    process.kill()
