"""What the app costs with 10,000 jobs: to open in a real browser, in memory, and while it is idle.

It is the real command, on records as `benchmarks.listing` makes them. Needs a browser: `CHROME`
names one, else Chromium is looked for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks._used import cpu_seconds
from benchmarks.listing import JOBS, fill

GOAL_SECONDS = 1.0
GOAL_NEW = 2.0
GOAL_BYTES = 300e6
GOAL_IDLE = 0.01
RUNS = 5
IDLE_SECONDS = 15.0
SECONDS = 120


def started(home: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the app; returns its process and its address, once it answers."""
    command = [str(Path(sys.executable).with_name("hubtrain")), "app", "--no-open", "--port", "0"]
    environ = {**os.environ, "HUBTRAIN_HOME": str(home), "COLUMNS": "300"}
    app = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    for line in app.stdout:
        if found := re.search(r"The app is at (\S+)", line):
            return app, found[1]
    raise RuntimeError("the app did not start")


def opened(page: Any, url: str, ready: str) -> float:
    """Return the seconds until a page shows what it is for."""
    began = time.monotonic()
    page.goto(url)
    page.wait_for_selector(ready)
    return time.monotonic() - began


def share(pid: int) -> float:
    """Return what share of one core a process uses for a while."""
    before = cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    return (cpu_seconds(pid) - before) / IDLE_SECONDS


def main() -> None:
    """Print seconds, bytes and shares of a core."""
    from playwright.sync_api import sync_playwright

    chrome = os.environ.get("CHROME") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        fill(Path(name))
        app, url = started(Path(name))
        try:
            browser = playwright.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(1000 * SECONDS)
            first = opened(page, url, "#jobs tbody tr")
            own = url.partition("?")[0]
            again = min(opened(page, own, "#jobs tbody tr") for _ in range(RUNS))
            job = min(opened(page, f"{own}job?id=j00007", "#curves svg") for _ in range(RUNS))
            new = [opened(page, f"{own}new", "#f-project_name") for _ in range(RUNS)]
            page.goto(own)
            looked_at = share(app.pid)
            page.goto("about:blank")
            time.sleep(12)  # the last page is taken to be closed, and nobody is asked any more
            idle = share(app.pid)
            held = psutil.Process(app.pid).memory_info().rss
        finally:
            app.terminate()
            app.wait()
    print(
        f"  {JOBS:,} jobs open in {again:.2f} s (goal {GOAL_SECONDS}), the first time in "
        f"{first:.2f} s; a job in {job:.2f} s; the form of a new one in {min(new):.2f} s, "
        f"the first time in {new[0]:.2f} s (goal {GOAL_NEW}); "
        f"{held / 1e6:.0f} MB (goal {GOAL_BYTES / 1e6:.0f}); "
        f"{looked_at:.1%} of a core while looked at, {idle:.1%} idle (goal {GOAL_IDLE:.0%})"
    )


if __name__ == "__main__":
    main()
