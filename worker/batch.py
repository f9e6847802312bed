"""The worker as a batch job of Slurm: `python -m worker.batch [CODE]` in the job's folder.

It takes the secrets from a file that it deletes at once, runs `python -m worker`, and passes on
what Slurm tells the job: that its time is nearly over (USR1), and that it has to end (TERM). How
the worker ended stays in the folder, for when Slurm has forgotten it. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from worker.prctl import keep_secrets

NEARLY_OVER = signal.Signals["SIGUSR1"] if sys.platform != "win32" else signal.SIGTERM
"""By which Slurm says that the wall time is nearly over; no cluster has Windows."""

HANDED = "handed.json"
"""`secrets` and other variables of the `environment`, for the worker; only its user may read it."""

ENDED = "ended"
"""The worker's exit code, once it has ended."""

WARNED = "HUBTRAIN_SLURM_WARNED"
"""Environment of the worker: a file that is there once the wall time is nearly over."""


def main(again: int | None = None) -> int:
    """Run the worker, and return its exit code.

    With the code `again` it is to be started once more; none where Slurm starts no job again.
    """
    keep_secrets()
    handed = take()
    if not handed["secrets"] and os.environ.get("SLURM_RESTART_COUNT", "0") != "0":
        print("Slurm starts this job again. Its token was lost with the node.", flush=True)  # noqa: T201
    warned = Path("warned").absolute()
    warned.unlink(missing_ok=True)
    environ = {**handed["environment"], **os.environ, **handed["secrets"], WARNED: str(warned)}
    ours = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    worker = subprocess.Popen([sys.executable, "-P", "-m", "worker"], env={**environ, **ours})

    def end(number: int, _frame: FrameType | None) -> None:
        if number == NEARLY_OVER:
            warned.touch()
        elif again is not None:  # at once: Slurm does not wait for ever
            put_back(handed)
        worker.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, NEARLY_OVER):
        signal.signal(number, end)
    code = worker.wait()
    if code != again:
        Path(HANDED).unlink(missing_ok=True)
    Path(ENDED).write_text(str(code), encoding="ascii")
    return code if code >= 0 else 128 - code


def take() -> dict[str, dict[str, str]]:
    """Return what is handed to the worker, and delete it; nothing where it was taken before."""
    file = Path(HANDED)
    try:
        handed: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"environment": {}, "secrets": {}}
    file.unlink()
    return handed


def put_back(handed: dict[str, dict[str, str]]) -> None:
    """Leave it for the same job, which Slurm may start again."""
    Path(HANDED).touch(mode=0o600)
    Path(HANDED).write_text(json.dumps(handed), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
