"""Where `hubtrain` begins, before it has imported anything: Ctrl-C is quiet from here on."""

from __future__ import annotations

import os
import signal

from orchestrator.exits import DETACHED


def main() -> None:
    """Run the program on `sys.argv` and exit."""
    signal.signal(signal.SIGINT, _leave)
    from orchestrator.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(*_: object) -> None:
    """End at once: while it imports, the program has nothing to put in order."""
    os._exit(DETACHED)


if __name__ == "__main__":
    main()
