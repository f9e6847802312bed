"""What a command costs before it does anything, against the Hub's own command line.

The yardstick is `hf --help` in the same run, so that a slow or busy machine slows both.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

RUNS = 5
BIN = Path(sys.executable).parent


def cpu_seconds(words: tuple[str, ...], home: Path) -> float:
    """Return the CPU-seconds of a command."""
    environ = {**os.environ, "HUBTRAIN_HOME": str(home), "HF_TOKEN": "", "HF_HOME": str(home)}
    child = subprocess.Popen(
        [str(BIN / words[0]), *words[1:]],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.slow
def test_a_command_starts_sooner_than_the_hubs_own(tmp_path: Path) -> None:
    most = {
        ("hubtrain", "--help"): 0.3,
        ("hubtrain", "jobs", "--offline"): 0.55,
        ("python", "-c", "import hubtrain"): 0.55,
    }
    theirs, spent = ("hf", "--help"), defaultdict[tuple[str, ...], list[float]](list)
    for _ in range(RUNS):  # by turns, so that a machine that slows down slows all of them
        for words in (theirs, *most):
            spent[words].append(cpu_seconds(words, tmp_path))
    ratios = {words: min(spent[words]) / min(spent[theirs]) for words in most}
    assert all(ratios[words] <= most[words] for words in most), ratios
