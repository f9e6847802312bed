"""The exit codes of the program: 0 only on success."""

from __future__ import annotations

from collections.abc import Iterable

import backends

FAILED = 1
"""What was asked for was tried and failed."""

MENDABLE = 2
"""Something the user can mend, before anything ran."""

DETACHED = 130
"""The watch was left; the job goes on."""


def without(silent: Iterable[str]) -> int:
    """Return the code for what was found without these backends: they matter if they bill."""
    return FAILED if any(backends.load(name).bills for name in silent) else 0
