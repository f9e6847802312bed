"""`hubtrain hub`: the local Hub, for trying things without an account."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import click

from worker.errors import HubtrainError
from worker.installing import install


@click.command(
    "hub",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def COMMAND(arguments: tuple[str, ...]) -> int:  # noqa: N802
    """Run a Hub on this machine that speaks the real one's protocol."""
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise HubtrainError("the local Hub is not installed.", fix=install(["hub"]))
    command = [sys.executable, "-P", "-m", "localhub", *arguments]
    if sys.platform != "win32":
        os.execv(sys.executable, command)  # so that its pid is the one that was started
    return subprocess.call(command)
