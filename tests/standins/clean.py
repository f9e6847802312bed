"""A machine that has what the users of a model have, and nothing of ours: transformers 4, peft, and
llama.cpp, as the package xllamacpp brings it.

Made once in `build/` from the package index, in some 20 seconds: what is large and the same
everywhere, torch first, is lent by the environment of the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from zlib import crc32

BUILD = Path(__file__).parents[2] / "build"
LENT = "torch sympy mpmath networkx pillow pandas scikit-learn scipy skops xgboost-cpu".split()  # noqa: SIM905
INSTALLED = ("transformers>=4.57,<5", "peft", "accelerate", "xllamacpp")
SECONDS = 240
_RUN = """
import json, sys
for name, code, asked in json.load(sys.stdin):
    found = {}
    try:
        exec(code, found)
        told = eval(asked, found)
    except Exception as error:
        told = repr(error)
    print(json.dumps([name, told]), flush=True)
"""


def python() -> Path:
    """Return the Python of the clean environment, made where it is not there."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = BUILD / f"clean-{version}-{crc32(repr((LENT, INSTALLED)).encode()):x}"
    if not place.exists():
        BUILD.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="clean-", dir=BUILD))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
        for name in LENT:
            _lend(name, made / "lib" / f"python{version}" / "site-packages")
        pip = [sys.executable, "-m", "pip", "--python", str(made / "bin" / "python")]
        subprocess.run([*pip, "install", "--quiet", *INSTALLED, *LENT], check=True, timeout=SECONDS)
        try:
            made.rename(place)
        except OSError:  # another process was quicker
            shutil.rmtree(made)
    return place / "bin" / "python"


def _lend(name: str, site: Path) -> None:
    """Link all that a distribution of the tests' environment has brought."""
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        (site / top).symlink_to(Path(str(found.locate_file(top))))


def asked(questions: list[tuple[str, str, str]], folder: Path, **environ: str) -> dict[str, Any]:
    """Return what comes of each (name, code, expression) there: the expression's value, by name.

    What goes wrong is its value in words.
    """
    lines = said(_RUN, questions, folder, **environ).splitlines()
    return dict(json.loads(line) for line in lines if line.startswith('["'))


def said(program: str, told: Any, folder: Path, **environ: str) -> str:
    """Return what a program prints there that is told something in JSON."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("HF_", "PYTHON"))}
    done = subprocess.run(
        [python(), "-c", program],
        input=json.dumps(told),
        env={
            **kept,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "OMP_NUM_THREADS": "1",
        }
        | environ,
        stdout=subprocess.PIPE,
        cwd=folder,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    return done.stdout
