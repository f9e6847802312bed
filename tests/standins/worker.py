"""`python -m worker` with a stand-in for its trainer: everything else is the real thing."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from worker.clock import SystemClock
from worker.contract import JobSpec
from worker.host import host_of
from worker.page import serve
from worker.supervise.supervise import Supervisor

LATER = "later"
LEAP_SECONDS = 50.0
"""The file beside the model that lets the clock leap, and how far."""


class Leaping(SystemClock):
    """A clock that leaps when that file comes, so after all that was said before it."""

    def __init__(self, folder: Path) -> None:
        self.said = folder / LATER

    def monotonic(self) -> float:
        return time.monotonic() + (LEAP_SECONDS if self.said.exists() else 0.0)


def main(acts: list[str]) -> int:
    host = host_of(dict(os.environ))
    spec = JobSpec.model_validate_json(host.job_file.read_text())
    command = [sys.executable, "-m", "tests.standins.trainer", str(host.model), *acts]
    worker = Supervisor(spec, host, clock=Leaping(host.model.parent), serve=serve, command=command)
    return worker.run().exit_code


if __name__ == "__main__":
    code = main(sys.argv[1:] or os.environ.get("STANDIN_ACTS", "").split())
    sys.stdout.flush()
    os._exit(code)
