"""The worker in a container: `python -m worker.container` reads its secrets from standard input.

They come as one line, a JSON object of environment variables, so that none of them is in what
Docker keeps of a container. Whoever launches it may be gone before it has sent them: the exit code
is then `NO_SECRETS_RECEIVED`, and the same launch may be done again.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from contextlib import suppress

from worker.contract import NO_SECRETS_RECEIVED


def main() -> None:
    """Be the worker once the secrets are there."""
    # A container's first process ignores what it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        sys.exit(NO_SECRETS_RECEIVED)
    os.environ.update(json.loads(line))
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    runpy.run_module("worker", run_name="__main__")


if __name__ == "__main__":
    main()
