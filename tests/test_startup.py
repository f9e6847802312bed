"""What a command costs before it does anything, against the Hub's own command line.

The yardstick is `hf --help` in the same run, so that a slow or busy machine slows both.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = 5
BIN = Path(sys.executable).parent


def cpu_seconds(program: str, *words: str, home: Path) -> float:
    """Return the CPU-seconds of a command, at best of several."""
    environ = {**os.environ, "HUBTRAIN_HOME": str(home), "HF_TOKEN": "", "HF_HOME": str(home)}
    spent = []
    for _ in range(RUNS):
        child = subprocess.Popen(
            [str(BIN / program), *words],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        spent.append(usage.ru_utime + usage.ru_stime)
    return min(spent)


@pytest.mark.slow
def test_a_command_starts_sooner_than_the_hubs_own(tmp_path: Path) -> None:
    theirs = cpu_seconds("hf", "--help", home=tmp_path)
    assert cpu_seconds("hubtrain", "--help", home=tmp_path) / theirs <= 0.3
    assert cpu_seconds("hubtrain", "jobs", "--offline", home=tmp_path) / theirs <= 0.6
    assert cpu_seconds("python", "-c", "import hubtrain", home=tmp_path) / theirs <= 0.55
