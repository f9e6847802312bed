"""Questions that a command asks before it stops or deletes something."""

from __future__ import annotations

import os
import sys

import click

from orchestrator.terminal.desk import Desk


def someone_is_there(*, as_json: bool) -> bool:
    """Whether a question would be seen and could be answered."""
    return not as_json and "CI" not in os.environ and sys.stdin.isatty() and sys.stdout.isatty()


def agreed(desk: Desk, question: str) -> bool:
    """Ask the user; no where nobody can answer."""
    try:
        return click.confirm(question, default=False)
    except click.Abort:
        desk.screen.say("", "Left as it is; --yes does it without asking.")
        return False
