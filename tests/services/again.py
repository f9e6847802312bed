"""Tries the tests that failed once more, with nothing beside them; CI runs it after `make test`.

Browsers, engines and schedulers that share two cores lose a race now and then. Few such tests may
pass at the second try, and each is named, so that its race is seen and mended. More than few, a
test that fails twice, or a run that broke off, fails CI as before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MOST = 3
"""Of more tests that failed none is tried again: something is wrong, and not slow."""

KEPT = Path(".pytest_cache/v")
ENDED = "hubtrain/ended"
"""Where pytest's cache keeps the exit code of the last run."""

SOME_FAILED = 1
"""The exit code of a run that came to its end."""


def main() -> int:
    failed = sorted(_kept("cache/lastfailed") or ())
    if _kept(ENDED) != SOME_FAILED or not 0 < len(failed) <= MOST:
        print(f"{len(failed)} tests failed, exit code {_kept(ENDED)}: none is tried again.")
        return 1
    print(f"Failed, and tried again alone: {' '.join(failed)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "pytest", "-v", *failed], check=False)
    if done.returncode != 0:
        return 1
    for name in failed:
        print(f"UNSTEADY, passed only at the second try: {name}")
    return 0


def _kept(name: str) -> Any:
    path = KEPT / name
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    raise SystemExit(main())
