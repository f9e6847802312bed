"""What a command costs before it does anything, against importing the library it needs anyway.

The yardstick is `import transformers, torch` in the same Python: what a laptop command would pay at
least if declarations were not light. AutoTrain 0.8.36 took 6.2 CPU-seconds and 492 MB for `--help`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

COMMANDS = (["--help"], ["llm", "--help"], ["jobs"])
HEAVY = ["-c", "import torch, transformers; from transformers import Trainer"]
RUNS = 5


def cost(words: list[str]) -> tuple[float, float]:
    """Return median CPU-seconds and peak memory in MB of running Python with these words."""
    seconds, peaks = [], []
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "HUBTRAIN_HOME": home, "HF_TOKEN": ""}
        for _ in range(RUNS):
            child = subprocess.Popen(
                [sys.executable, *words], env=environ, stdout=subprocess.DEVNULL
            )
            _, _, usage = os.wait4(child.pid, 0)
            child.returncode = 0
            seconds.append(usage.ru_utime + usage.ru_stime)
            peaks.append(usage.ru_maxrss / 1000)
    return statistics.median(seconds), statistics.median(peaks)


def main() -> None:
    """Print CPU and memory of each command and their share of the yardstick's."""
    heavy_seconds, heavy_peak = cost(HEAVY)
    print(
        f"laptop: importing torch and transformers: {heavy_seconds:.2f} CPU-s, {heavy_peak:.0f} MB"
    )
    for words in COMMANDS:
        seconds, peak = cost(["-m", "orchestrator.cli", *words])
        print(
            f"laptop: hubtrain {' '.join(words)}: {seconds:.2f} CPU-s, {peak:.0f} MB; "
            f"ratio {seconds / heavy_seconds:.3f} in time, {peak / heavy_peak:.3f} in memory"
        )


if __name__ == "__main__":
    main()
