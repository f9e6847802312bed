"""The Python that runs a script, with what its `requirements.txt` asks for.

Packages of its own lie above those of the machine: the worker, which has to push and to stop the
billing, keeps the versions that it knows.
"""

from __future__ import annotations

import re
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from worker.errors import HubtrainError
from worker.tasks.spacerunner import requirements

Doing = Callable[[str, Sequence[str]], None]
"""Runs a command under a name for people, and raises where it fails."""

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PINS = Path("constraints.txt")
"""Beside a worker in an image: versions that are known to go with its machine's drivers."""


def python_for(folder: Path, work: Path, version: str | None, do: Doing) -> str:
    """Return the Python for the script in `folder`; what it needs is installed below `work`."""
    listed = requirements.read(folder / requirements.FILE)
    other = version not in {None, HERE}
    if not other and (listed is None or not listed.wanted):
        return sys.executable
    place = work / "environment"
    if other:
        do(
            f"fetching Python {version}",
            [_uv(work, do), "venv", "--python", str(version), str(place)],
        )
    else:
        _layered(place)
    python = str(place / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    if listed and listed.wanted:
        file = folder / f".{requirements.FILE}"  # beside the files that it may name
        file.write_text(listed.text, encoding="utf-8")
        command = [*_installer(python, work, do, other=other), "--requirement", str(file)]
        do("installing", [*command, *_pinned(listed, work)])
    return python


def _layered(place: Path) -> None:
    """Make an environment that sees the packages of this Python below its own."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", place], check=True
    )
    if sys.prefix == sys.base_prefix:
        return
    paths = {"base": str(place), "platbase": str(place)}
    own = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    below = "".join(f"{path}\n" for path in site.getsitepackages())
    (own / "below.pth").write_text(below, encoding="utf-8")


def _installer(python: str, work: Path, do: Doing, *, other: bool) -> list[str]:
    if other or find_spec("pip") is None:
        return [_uv(work, do), "pip", "install", "--python", python]
    return [sys.executable, "-m", "pip", "--python", python, "install", "--no-input"]


def _uv(work: Path, do: Doing) -> str:
    """Return the program `uv`, installed where it is not there. Raises `HubtrainError`."""
    if there := shutil.which("uv"):
        return there
    if find_spec("pip") is None:
        raise HubtrainError("this machine has neither pip nor uv, so nothing can be installed.")
    place = work / "uv"
    do("installing uv", [sys.executable, "-m", "pip", "install", "--target", str(place), "uv"])
    return str(place / "bin" / "uv")


def _pinned(listed: requirements.Listed, work: Path) -> list[str]:
    """Return what keeps torch to the build for this machine's GPUs, unless the file says which."""
    if listed.fixes("torch") or not PINS.is_file():
        return []
    found = re.search(r"^torch==[\d.]+$", PINS.read_text("utf-8"), re.MULTILINE)
    if found is None:  # the smallest build for a CPU, which PyPI does not have
        return []
    file = work / "torch.txt"
    file.write_text(found[0] + "\n", encoding="utf-8")
    return ["--constraint", str(file)]
