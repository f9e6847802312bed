"""The browser that the tests of pages drive: found, or installed where that is possible.

`make test` runs this file. It looks for a browser that is there, then tries Debian's package, then
playwright's own download, and says what it does. Tests ask `found()` and install nothing; without a
browser they are skipped, and the run says so at its end. `CHROME=/path/to/chrome` names one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NAMED = "CHROME"
NO_SKIPS = "HUBTRAIN_NO_SKIPS"
"""Environment of CI, where everything a test needs is there: a skipped test is a failure."""

COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PACKAGES = ("chromium", "fonts-dejavu-core")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "about:blank")

INSTALL_SECONDS = 600
DOWNLOAD_SECONDS = 300
START_SECONDS = 60


@cache
def found() -> str | None:
    """Return the program of a browser that is here and starts, or none."""
    return next(filter(starts, _candidates()), None)


def _candidates() -> Iterator[str]:
    if named := os.environ.get(NAMED):
        yield named
        return
    yield from filter(None, map(shutil.which, COMMANDS))
    yield from (path for path in ELSEWHERE if Path(path).exists())
    if own := _playwrights():
        yield own


def _playwrights() -> str | None:
    """Return playwright's own browser, if it has been downloaded."""
    from playwright.sync_api import Error, sync_playwright

    try:
        with sync_playwright() as playwright:
            path = playwright.chromium.executable_path
    except Error:
        return None
    return path if Path(path).exists() else None


def starts(program: str) -> bool:
    """Return whether a browser really opens a page: a download may lack the system's libraries."""
    with tempfile.TemporaryDirectory() as profile:
        command = [program, *FLAGS[:-1], f"--user-data-dir={profile}", FLAGS[-1]]
        done = _ran(command, START_SECONDS)
    return done is not None and "<html>" in done


def install() -> str | None:
    """Install a browser as this machine can, and return its program; none where it cannot."""
    for way in (_from_debian, _from_playwright):
        way()
        found.cache_clear()
        if program := found():
            return program
    return None


def _from_debian() -> None:
    rights = _rights()
    if shutil.which("apt-get") is None or rights is None:
        _say("  not with apt-get: that takes Debian or Ubuntu, and root or sudo without a password")
        return
    _say(f"  {' '.join(rights)} apt-get install {' '.join(PACKAGES)} (a minute or two)".lstrip())
    quiet = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y"]
    bounds = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    _ran([*quiet, *bounds, "update"], INSTALL_SECONDS)
    _ran([*quiet, *bounds, "install", "--no-install-recommends", *PACKAGES], INSTALL_SECONDS)


def _rights() -> list[str] | None:
    """Return what to put before a command to run it as root; none if nothing does."""
    if sys.platform == "win32":
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    return sudo if shutil.which("sudo") and _ran([*sudo, "true"], 10) is not None else None


def _from_playwright() -> None:
    _say("  playwright install chromium (a download of some 170 MB)")
    _ran([sys.executable, "-m", "playwright", "install", "chromium"], DOWNLOAD_SECONDS)


def _ran(command: list[str], seconds: float) -> str | None:
    """Return what a command printed; none, having said why, if it failed."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, env=_environ()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _say(f"    that failed: {error}")
        return None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        _say(f"    that failed: {lines[0]}")
        return None
    return done.stdout


def _environ() -> dict[str, str]:
    """Return an environment in which a download that gets no answer fails soon."""
    return {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000", **os.environ}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Say which browser the tests will use, installing one if need be; 1 if CI has none."""
    if program := found():
        _say(f"Browser for the tests of pages: {program}")
        return 0
    if os.environ.get(NAMED):
        _say(f"{NAMED}={os.environ[NAMED]} is no browser that starts here.")
        return 1
    _say("No browser here for the tests of pages. Installing one:")
    if program := install():
        _say(f"Browser for the tests of pages: {program}")
        return 0
    _say("No browser could be installed: the tests that need one will be skipped.")
    return 1 if os.environ.get(NO_SKIPS) else 0


if __name__ == "__main__":
    sys.exit(main())
