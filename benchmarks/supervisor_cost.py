"""What the supervisor and its page, open in one browser, cost of a CPU training's throughput.

One training runs all the while; in every second window its supervisor is frozen (SIGSTOP), so
both rates come from the same process within seconds, and a busy neighbour slows both. On a machine
with busy neighbours the rates still scatter; the CPU share beside them does not.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks._used import cpu_seconds
from worker.contract import Started, from_line

KEY = "benchmark-key"
WINDOW_SECONDS = 2.5
SECONDS = 75
PAIRS = 12
ALLOWED = 0.02


def main() -> None:
    """Print the share of throughput, and the CPU share behind it."""
    with tempfile.TemporaryDirectory() as folder, _worker(Path(folder)) as (process, url):
        with_, without = _alternate(process, _Viewer(url), Path(folder) / "steps")
    ratio = with_ / without
    verdict = "ok" if 1 - ratio <= ALLOWED else "TOO MUCH"
    print(
        f"  throughput {ratio:.3f} of that without ({with_:.2f} of {without:.2f} steps/s) {verdict}"
    )


def _alternate(process: subprocess.Popen[str], viewer: _Viewer, file: Path) -> tuple[float, float]:
    """Return the median steps per second of windows with the supervisor and without."""
    edges: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    cpu = cpu_seconds(process.pid)
    for pair in range(PAIRS):
        for awake in (pair % 2 == 0, pair % 2 == 1):  # with, without, without, with, …
            (viewer.watching.set if awake else viewer.watching.clear)()
            if not awake:
                viewer.idle.wait(5)
            _freeze(process, not awake)
            edges[awake].append(_wait())
    spent = cpu_seconds(process.pid) - cpu
    share = spent / (PAIRS * WINDOW_SECONDS * (os.cpu_count() or 1))
    print(f"  {share:.2%} of the machine's CPU, {viewer.looks} looks at the page")
    ends = [float(line) for line in file.read_text().splitlines()]
    with_, without = ([_rate(ends, *edge) for edge in edges[awake]] for awake in (True, False))
    return statistics.median(with_), statistics.median(without)


def _freeze(process: subprocess.Popen[str], frozen: bool) -> None:
    if sys.platform == "win32":
        raise OSError("freezing a process takes signals")
    process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)


def _wait() -> tuple[float, float]:
    began = time.monotonic()
    time.sleep(WINDOW_SECONDS)
    return began, time.monotonic()


def _rate(ends: list[float], began: float, ended: float) -> float:
    """Return steps per second between the first and last step that end in a window."""
    inside = [t for t in ends if began <= t <= ended]
    return (len(inside) - 1) / (inside[-1] - inside[0])


@contextmanager
def _worker(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._supervised", "supervise", str(folder)],
        env={**os.environ, "HUBTRAIN_PAGE_KEY": KEY},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, _page(process.stdout)
    finally:
        process.terminate()
        _freeze(process, False)
        process.wait(60)


def _page(lines: Any) -> str:
    """Return the page's address, and let the rest of the output go."""
    for line in lines:
        event = from_line(line)
        if isinstance(event, Started):
            threading.Thread(target=lambda: [None for _ in lines], daemon=True).start()
            return event.page or ""
    raise RuntimeError("the worker did not start")


class _Viewer:
    """An open page, without the drawing, which is the visitor's own machine's to do."""

    def __init__(self, url: str) -> None:
        self.looks = 0
        self.watching, self.idle = threading.Event(), threading.Event()
        named = httpx2.URL(url)  # browsers know where `NAME.localhost` is, other programs may not
        host = {"Host": named.netloc.decode()}
        at = named.copy_with(host="127.0.0.1")
        self._http = httpx2.Client(base_url=at, headers=host, timeout=60)
        self._http.get("/", params={"key": KEY})
        self._tick = self._ticking(self._http.get("/config").json())
        for _ in range(5):  # warm
            self._look()
        threading.Thread(target=self._run, daemon=True).start()

    @staticmethod
    def _ticking(config: dict[str, Any]) -> int:
        ticking = (d for d in config["dependencies"] if "tick" in json.dumps(d["targets"]))
        return int(next(ticking)["id"])

    def _look(self) -> None:
        body = {"fn_index": self._tick, "data": [""], "session_hash": "bench"}
        self._http.post("/gradio_api/run/predict", json=body).raise_for_status()

    def _run(self) -> None:
        while self.watching.wait():
            self.idle.clear()
            self._look()
            self.looks += 1
            self.idle.set()
            time.sleep(2.0)


if __name__ == "__main__":
    main()
