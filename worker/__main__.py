"""The rented machine's one command, `python -m worker`: run the job in `job.json` to its end.

The exit code is the reason it ended with, see `EndReason.exit_code`. Where a `deployment.json` lies
instead, its model is served until the machine stops.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import ValidationError

from worker.clock import SystemClock
from worker.contract import DEPLOYMENT_FILE, EndReason, Failed, JobSpec, marked
from worker.host import Host, host_of
from worker.page import serve
from worker.prctl import adopt_orphans, keep_secrets
from worker.redact import Redactor
from worker.supervise.supervise import Supervisor


def main() -> int:
    """Run the job, or serve the model, and return the exit code."""
    keep_secrets()
    adopt_orphans()
    if Path(DEPLOYMENT_FILE).is_file():
        from worker.serve import server

        return server.serve(Path.cwd())
    host = host_of(dict(os.environ))
    try:
        spec = JobSpec.model_validate_json(host.job_file.read_text(encoding="utf-8"))
        return Supervisor(spec, host, clock=SystemClock(), serve=serve).run().exit_code
    except (OSError, ValidationError) as error:
        return _without_a_job(host, error)


def _without_a_job(host: Host, error: Exception) -> int:
    """Report what is wrong with the spec or the disk, and stop the billing."""
    redact = Redactor(host.environ)
    failed = Failed(reason=EndReason.BAD_CONFIG, message=f"{host.job_file} cannot be run: {error}")
    _say(redact(marked(failed)))
    host.stop_billing(clock=SystemClock(), log=lambda line: _say(redact(line)))
    return failed.reason.exit_code


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Do not wait for threads: the page or a stalled upload could keep a paid machine running.
    os._exit(code)
