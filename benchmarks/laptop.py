"""What a command costs before it does anything, against the Hub's own command line.

The yardstick is `hf --help` in the same run. Importing torch and transformers is there for
reference: what a command would pay at least if declarations were not light. AutoTrain 0.8.36 took
6.2 CPU-seconds and 492 MB for `--help`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 30
RUNS = 5
BIN = Path(sys.executable).parent
COMMANDS = {
    ("--help",): 0.8,
    ("llm", "--help"): None,
    ("jobs", "--offline"): 0.6,
}
"""Each with the most it may cost, as a share of the yardstick."""

HEAVY = "import torch, transformers; from transformers import Trainer"


def cost(*command: str, runs: int = RUNS) -> tuple[float, float]:
    """Return CPU-seconds at best, and peak memory in MB, of a command."""
    found = []
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "HUBTRAIN_HOME": home, "HF_HOME": home, "HF_TOKEN": ""}
        for _ in range(runs):
            child = subprocess.Popen(
                command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            _, _, usage = os.wait4(child.pid, 0)
            child.returncode = 0
            found.append((usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000))
    return min(found)


def main() -> None:
    """Print CPU and memory of each command and their share of the yardstick's."""
    theirs, peak = cost(str(BIN / "hf"), "--help")
    print(f"  hf --help: {theirs:.2f} CPU-s, {peak:.0f} MB")
    for words, most in COMMANDS.items():
        seconds, peak = cost(str(BIN / "hubtrain"), *words)
        ratio = seconds / theirs
        verdict = "" if most is None else f" (at most {most}) {'ok' if ratio <= most else 'SLOW'}"
        print(
            f"  hubtrain {' '.join(words)}: {seconds:.2f} CPU-s, {peak:.0f} MB; "
            f"ratio {ratio:.2f}{verdict}"
        )
    seconds, peak = cost(sys.executable, "-c", HEAVY, runs=1)
    print(f"  importing torch and transformers: {seconds:.2f} CPU-s, {peak:.0f} MB")


if __name__ == "__main__":
    main()
