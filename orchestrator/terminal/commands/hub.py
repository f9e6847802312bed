"""`hubtrain hub`: the local Hub, for trying things without an account."""

from __future__ import annotations

import os
import subprocess
import sys

import click


@click.command(
    "hub",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def COMMAND(arguments: tuple[str, ...]) -> int:  # noqa: N802
    """Run a Hub of your own on this machine.

    It speaks the real one's protocol; its Spaces and Jobs run here, as processes.
    """
    from orchestrator.localhub import hub_command

    command = hub_command(arguments)
    if sys.platform != "win32":
        os.execv(sys.executable, command)  # so that its pid is the one that was started
    return subprocess.call(command)
