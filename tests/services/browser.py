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
PACKAGES = ("chromium", "fonts-dejavu-core", "libatomic1")
"""Debian's packages: a browser, a font for it, and what playwright's own program needs."""
PLAYWRIGHTS = ""
"""Stands for the browser that playwright has downloaded."""

OPEN = "--open"

INSTALL_SECONDS = 600
DOWNLOAD_SECONDS = 300
START_SECONDS = 60


@cache
def found() -> str | None:
    """Return the program of a browser that is here and opens a page, or none."""
    return next(filter(None, map(opened, _candidates())), None)


def _candidates() -> Iterator[str]:
    if named := os.environ.get(NAMED):
        yield named
        return
    yield from filter(None, map(shutil.which, COMMANDS))
    yield from (path for path in ELSEWHERE if Path(path).exists())
    yield PLAYWRIGHTS


def opened(program: str) -> str | None:
    """Open a page in a browser as the tests do; return its program, or none if that fails.

    A browser, and playwright itself, may lack libraries of the system.
    """
    said = _ran([sys.executable, __file__, OPEN, program], START_SECONDS, quiet=True)
    return said.strip() if said else None


def _open(program: str) -> str:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program or None, args=["--no-sandbox"])
        browser.new_page().goto("about:blank")
        browser.close()
        return program or playwright.chromium.executable_path


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
    able = shutil.which("sudo") and _ran([*sudo, "true"], 10, quiet=True) is not None
    return sudo if able else None


def _from_playwright() -> None:
    _say("  playwright install chromium (a download of some 170 MB)")
    _ran([sys.executable, "-m", "playwright", "install", "chromium"], DOWNLOAD_SECONDS)


def _ran(command: list[str], seconds: float, *, quiet: bool = False) -> str | None:
    """Return what a command printed; none, having said why unless `quiet`, if it failed."""
    complain = (lambda _: None) if quiet else _say
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, env=_environ()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        complain(f"    that failed: {error}")
        return None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        complain(f"    that failed: {lines[0]}")
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
    if sys.argv[1:2] == [OPEN]:
        _say(_open(sys.argv[2]))
    else:
        sys.exit(main())
