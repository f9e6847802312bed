"""The exit codes of the program: 0 only on success."""

from __future__ import annotations

FAILED = 1
"""What was asked for was tried and failed."""

MENDABLE = 2
"""Something the user can mend, before anything ran."""

DETACHED = 130
"""The watch was left; the job goes on."""


def exit_code(reason: str) -> int:
    """Return with which code a command ends that could not do what was asked for this reason."""
    return MENDABLE if reason in {"bad_config", "bad_data"} else FAILED
