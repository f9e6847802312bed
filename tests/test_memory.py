"""The memory that is told before a training is what it takes: real peaks, of real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import peaks
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(sys.platform != "linux", reason="peaks are read as on Linux"),
]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float, float]]:
    """Low, high and measured bytes, by what was trained."""
    folder = tmp_path_factory.mktemp("peaks")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(word: str) -> str:
        command = [sys.executable, peaks.__file__, word, str(folder)]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=380
        )
        (folder / f"{word}.log").write_text(done.stderr)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run("write")
    lines = [json.loads(line) for line in run("measure").splitlines() if line.startswith("[")]
    return {name: tuple(bytes_) for name, *bytes_ in lines}


@pytest.mark.parametrize("name", peaks.CASES)
def test_a_training_takes_what_was_told_of_it(
    found: dict[str, tuple[float, float, float]], name: str
) -> None:
    assert name in found, "it failed: see measure.log"
    low, high, peak = found[name]
    assert low <= peak <= high, f"{peak / 1e9:.2f} GB, told {low / 1e9:.2f} to {high / 1e9:.2f}"
