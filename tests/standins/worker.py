"""`python -m worker` with a stand-in for its trainer: everything else is the real thing."""

from __future__ import annotations

import os
import sys

from worker.clock import SystemClock
from worker.contract import JobSpec
from worker.host import host_of
from worker.page import serve
from worker.supervise.supervise import Supervisor


def main(acts: list[str]) -> int:
    host = host_of(dict(os.environ))
    spec = JobSpec.model_validate_json(host.job_file.read_text())
    command = [sys.executable, "-m", "tests.standins.trainer", str(host.model), *acts]
    worker = Supervisor(spec, host, clock=SystemClock(), serve=serve, command=command)
    return worker.run().exit_code


if __name__ == "__main__":
    code = main(sys.argv[1:] or os.environ.get("STANDIN_ACTS", "").split())
    sys.stdout.flush()
    os._exit(code)
