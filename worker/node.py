"""One of several nodes that train together: `python -m worker.node PORT ARGUMENTS...` on each.

It becomes the launcher of its share of the processes, which meet at the port of the first node.
"""

from __future__ import annotations

import os
import sys

from worker import launch
from worker.contract import JobSpec
from worker.host import host_of

MODULE = "worker.node"


def main(port: int, arguments: list[str]) -> None:
    """Start this node's share of the processes. Never returns."""
    host = host_of(os.environ)
    job = JobSpec.model_validate_json(host.job_file.read_bytes())
    cores = host.cores or os.cpu_count() or 1
    command = launch.command(job.parallel, arguments, cores, host.node(port))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
