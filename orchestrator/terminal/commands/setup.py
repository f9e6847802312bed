"""`hubtrain setup`: this machine made ready for jobs, as far as that is not done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from orchestrator.completing import SHELLS
from orchestrator.terminal.checkup import checkup
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.question import someone_is_there
from worker.errors import HubtrainError
from worker.home import home, make_private
from worker.hubclient import explained
from worker.task import Finding


@click.command("setup")
@click.option(
    "--update-torch", is_flag=True, help="Print what updates torch; no package is changed."
)
@click.option("--colab", is_flag=True, help="Accepted, as AutoTrain has it; changes nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(update_torch: bool, colab: bool, as_json: bool) -> int:  # noqa: N802
    """Make this machine ready for jobs, and check it.

    It gets a folder for records and a login to the Hub. The login is that of `hf auth login`, and
    is asked for only on a terminal and where there is none. What is done already is left as it is.
    No package is installed or removed: the check says what to type. Exits 0 if jobs can be launched
    from here.
    """
    desk = Desk(as_json)
    made = [*_folder(), *_torch(update_torch)]
    if desk.token is None and someone_is_there(as_json=as_json):
        _log_in()
        desk = Desk(as_json)
    found = [*made, *checkup(desk), *_completion()]
    desk.screen.findings(found)
    desk.screen.document([asdict(finding) for finding in found])
    return 1 if any(f.level == "error" for f in found) else 0


def _folder() -> Iterator[Finding]:
    """Make the folder of records where there is none, and shut it."""
    there = home().is_dir()
    try:
        make_private(home())
    except OSError as error:
        text = f"cannot write in {home()}: {error.strerror}."
        yield Finding("error", "records", text, "Set HUBTRAIN_HOME to another folder.")
        return
    yield Finding("ok", "records", f"in {home()}, {'as before' if there else 'a new folder'}")


def _torch(asked: bool) -> Iterator[Finding]:
    if asked:
        text = "packages are not changed here: yours may be made for your GPU"
        yield Finding("warn", "setup", text, "pip install --upgrade torch")


def _completion() -> Iterator[Finding]:
    """Say how the user's shell is told to complete words, where that is one that can."""
    shell = Path(os.environ.get("SHELL", "")).name
    if shell in SHELLS:
        text = f"{shell} can complete commands, flags, jobs and machines after Tab"
        yield Finding("ok", "shell", f"{text}: hubtrain completion --help says how")


def _log_in() -> None:
    """Log in as `hf auth login` does, which keeps the token in its own place."""
    from huggingface_hub import login
    from huggingface_hub.errors import DeviceCodeError

    try:
        with explained("logging in"):
            login()
    except (DeviceCodeError, ValueError) as error:
        raise HubtrainError(f"no login: {error}", fix="hf auth login") from error
