"""`python -m worker` with a stand-in for its trainer: everything else is the real thing."""

from __future__ import annotations

import os
import sys

from worker.clock import SystemClock
from worker.contract import JobSpec
from worker.supervise.place import Place
from worker.supervise.supervise import Supervisor


def main(acts: list[str]) -> int:
    place = Place(dict(os.environ))
    spec = JobSpec.model_validate_json(place.job_file.read_text())
    command = [sys.executable, "-m", "tests.standins.trainer", str(place.model), *acts]
    return Supervisor(spec, place, clock=SystemClock(), command=command).run().exit_code


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
