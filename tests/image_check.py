"""`make image-check`: what the image of a GPU machine would install is installed, and trains.

The versions that happen to be on this machine prove nothing about the image. So a new environment
gets what `space_template/Dockerfile` would install, as a machine of the Hub would find it: from
the default index and from nothing else. Some gigabytes come down, and 8 are taken on disk until
the end. Without a GPU torch trains on the CPU, so its kernels are counted and not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from standins import small_job

from backends.image import image_files
from localhub.runtime.prices import FLAVORS

BUILD = Path(__file__).parent.parent / "build"
"""On the disk: a folder for temporary files may lie in memory."""

DRIVER = (12, 9)
"""CUDA of the driver on the rented machines; `space_template/torch-gpu.txt` has the source."""

CAPABILITY = {
    "T4": (7, 5),
    "A100": (8, 0),
    "A10G": (8, 6),
    "L4": (8, 9),
    "L40S": (8, 9),
    "H200": (9, 0),
    "RTX PRO 6000": (12, 0),
}
"""What kernels each GPU runs, as NVIDIA lists it: those of its generation, up to its own number."""

KEPT = re.compile(
    r"(index-url|cert|client-cert|proxy|trusted-host|(default-)?timeout|retries|cache-dir|keyring-.*)"
)
"""Settings of pip that say how the index is reached. The others could bring other packages:
further indexes, files of this disk, constraints."""

JOBS: tuple[dict[str, Any], ...] = ({}, {"peft": True, "quantization": "int4"})
"""Settings of the jobs that are trained: the whole model, and an adapter on one of four bits."""


def main() -> int:
    """Check the image of a GPU machine; raises what is wrong with it."""
    began = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="image-", dir=BUILD))
    try:
        for path, content in image_files(["llm"], accelerators=1).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        python = installed(folder)
        pinned(folder)
        for n, settings in enumerate(JOBS):
            trains(python, folder, folder / f"job{n}", settings)
        kernels(python)
        say(f"The image of a GPU machine is well ({time.monotonic() - began:.0f} s).")
    finally:
        shutil.rmtree(folder)
    return 0


def installed(folder: Path) -> Path:
    """Make the environment as the Dockerfile does, and return its Python."""
    run([sys.executable, "-m", "venv", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    pip = pip_environment()
    for words in installs(folder / "Dockerfile"):
        say(f"pip {' '.join(words)}")
        report = folder / f"{Path(words[-1]).stem}.json"
        run([python, "-m", "pip", *words, "--quiet", "--report", report], folder, pip)
    return python


def installs(dockerfile: Path) -> list[list[str]]:
    """Return what the Dockerfile says to pip, less what a virtual environment cannot do."""
    said = re.findall(r"^RUN pip (install .+)$", dockerfile.read_text("utf-8"), re.MULTILINE)
    assert said, "the Dockerfile installs nothing"
    return [[word for word in line.split() if word != "--user"] for line in said]


def pip_environment() -> dict[str, str]:
    """Return an environment in which pip knows one index: the default, or this user's own."""
    listed = run([sys.executable, "-m", "pip", "config", "list"], Path.cwd())
    lines = sorted(listed.splitlines(), key=lambda line: line.startswith(":env:"))  # it outranks
    settings = re.findall(r"^[\w:]+\.([\w.-]+)='(.*)'$", "\n".join(lines), re.MULTILINE)
    kept = {f"PIP_{k.upper().replace('-', '_')}": v for k, v in settings if KEPT.fullmatch(k)}
    others = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    return {**others, **kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def pinned(folder: Path) -> None:
    """Check that every package came from the index, in a version that is written down."""
    reports = [json.loads(f.read_text("utf-8")) for f in folder.glob("*.json")]
    came = [one for report in reports for one in report["install"]]
    torch = next(one for one in came if one["metadata"]["name"] == "torch")
    exact = [Requirement(text) for text in torch["metadata"]["requires_dist"]]
    known = {canonicalize_name(one.name) for one in exact if str(one.specifier).startswith("==")}
    lines = (folder / "constraints.txt").read_text("utf-8").splitlines()
    known |= {canonicalize_name(Requirement(line.partition("#")[0]).name) for line in lines}
    names = {canonicalize_name(one["metadata"]["name"]) for one in came}
    assert names <= known, f"versions of these are left open: {sorted(names - known)}"
    elsewhere = [u for one in came if (u := one["download_info"]["url"]).startswith("file:")]
    assert not elsewhere, f"these did not come from the index: {elsewhere}"
    say(f"{len(came)} packages, all from the index, all in versions that are written down")


def trains(python: Path, image: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Run a job of a few steps as the image would, with the worker that it would hold."""
    folder.mkdir()
    small_job.write(folder, **settings)
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "HF_TOKEN"}}
    run([python, "-m", "worker"], image, {**environment, **small_job.environment(folder)})
    losses = small_job.check(folder)
    said = ", ".join(f"{k} {v}" for k, v in settings.items()) or "whole model"
    say(f"Trained ({said}): loss {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps")


def kernels(python: Path) -> None:
    """Check that the driver can run torch's CUDA and that torch has kernels for every GPU."""
    code = (
        "import json, torch; from bitsandbytes.cextension import PACKAGE_DIR;"
        "print(json.dumps([torch.__version__, torch.version.cuda, torch._C._cuda_getArchFlags(),"
        " [f.name for f in PACKAGE_DIR.iterdir()]]))"
    )
    version, cuda, flags, libraries = json.loads(run([python, "-c", code], Path.cwd()))
    built = tuple(map(int, cuda.split(".")))
    assert built[0] == DRIVER[0] and built <= DRIVER, (
        f"torch {version} is built for CUDA {cuda}; the driver of the machines knows {DRIVER}"
    )
    arches = {(int(a[:-1]), int(a[-1])) for a in re.findall(r"\bsm_(\d+)\b", flags)}
    gpus = {f.accelerator.model for f in FLAVORS if f.accelerator}
    without = {gpu for gpu in gpus if not runs(CAPABILITY[gpu], arches)}
    assert not without, f"torch {version} has no kernels for {sorted(without)}: it has {flags}"
    library = f"libbitsandbytes_cuda{cuda.replace('.', '')}.so"
    assert library in libraries, f"bitsandbytes has no {library} for quantization"
    say(f"torch {version}: CUDA {cuda} for a driver of {DRIVER}; {flags}")


def runs(gpu: tuple[int, int], arches: set[tuple[int, int]]) -> bool:
    """Whether a GPU of this capability runs any of these kernels."""
    return any(major == gpu[0] and minor <= gpu[1] for major, minor in arches)


def run(command: Sequence[object], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command in `folder` and return what it printed; raises what it said if it failed."""
    words = [str(word) for word in command]
    ran = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(f"{' '.join(words)}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}")
    return ran.stdout


def say(text: str) -> None:
    """Say how far the check is."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
