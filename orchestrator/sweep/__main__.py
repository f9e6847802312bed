"""`python -m orchestrator.sweep NAME`: run a sweep that was written down (`detached`).

It says in one line of JSON that it has begun, or what keeps it from that.
"""

from __future__ import annotations

import json
import os
import sys

from orchestrator.jobs.client import Client
from orchestrator.sweep.detached import run
from orchestrator.sweep.spec import alone, known
from worker.errors import BadConfig, HubtrainError


def main(name: str) -> None:
    """Run the sweep of this name."""
    try:
        if (spec := known(name)) is None:
            raise BadConfig(f"no sweep {name!r} was begun on this machine.")
        with alone(name):
            _tell({"runs": name})
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads on
            run(Client(), spec)
    except HubtrainError as error:
        mendable = isinstance(error, BadConfig)
        _tell({"message": error.message, "fix": error.fix, "mendable": mendable})


def _tell(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
