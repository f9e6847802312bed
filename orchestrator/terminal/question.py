"""Questions that a command asks before it stops or deletes something."""

from __future__ import annotations

import os
import sys

import click

from orchestrator.terminal.desk import Desk


def someone_is_there(*, as_json: bool) -> bool:
    """Whether a question would be seen and could be answered."""
    return not as_json and "CI" not in os.environ and on_terminal()


def on_terminal() -> bool:
    """Whether a person may read what is printed, and type. What starts us may have closed both."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def agreed(desk: Desk, question: str) -> bool:
    """Ask the user; no where nobody can answer."""
    try:
        return click.confirm(question, default=False)
    except click.Abort:
        desk.screen.say("", "Left as it is; --yes does it without asking.")
        return False
