"""Installs missing packages, then becomes the worker: `python -P -m worker.bootstrap`.

For machines whose image was not made for hubtrain, such as those of Jobs. It runs before anything
is installed, so it imports the standard library alone. An image that has every package that
`requirements.txt` asks for is taken as it is; otherwise they are installed as in
`space_template/Dockerfile`: torch first and alone, then the rest, pinned.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

SINCE = "HUBTRAIN_SINCE"
"""Environment of the worker: since when this machine works for the job, in seconds since 1970."""

BUILD_ERROR = 16
"""`EndReason.BUILD_ERROR.exit_code`, which cannot be imported here yet."""


def main() -> None:
    """Become the worker, in a folder of this machine's own disk."""
    os.environ[SINCE] = str(time.time())  # what is installed now is paid for
    # The first process of a container ignores what it does not handle.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder = Path(tempfile.gettempdir()) / "hubtrain"
    # What is mounted may go away while the job runs.
    shutil.copytree(Path(__file__).parents[1], folder, dirs_exist_ok=True)
    python = sys.executable if has_all(folder / "requirements.txt") else installed(folder)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    os.execv(python, [python, "-m", "worker"])


def has_all(requirements: Path) -> bool:
    """Whether this Python has every package a file asks for, in a version that it allows."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return False
    for line in requirements.read_text(encoding="utf-8").splitlines():
        one = Requirement(line)
        try:
            if not one.specifier.contains(metadata.version(one.name), prereleases=True):
                return False
        except metadata.PackageNotFoundError:
            return False
    return True


def installed(folder: Path) -> str:
    """Return the Python of a new environment with what the files in `folder` ask for."""
    uv, place = shutil.which("uv"), folder / "environment"
    python = str(place / "bin" / "python")
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, place)
        pip = (uv, "pip", "install", "--python", python, "--no-cache")
    else:
        _run(sys.executable, "-m", "venv", place)
        pip = (python, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check")
    _run(*pip, "--no-deps", "--requirement", folder / "torch.txt")
    pins = ("--constraint", folder / "constraints.txt")
    _run(*pip, "--requirement", folder / "requirements.txt", *pins)
    return python


def _run(*command: str | Path) -> None:
    """Run a program, whose output goes to the log; the machine's end where it fails."""
    if subprocess.run(command, check=False).returncode:
        sys.stdout.write("What the job needs could not be installed; the lines above say why.\n")
        sys.exit(BUILD_ERROR)


if __name__ == "__main__":
    main()
