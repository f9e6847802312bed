"""The command that runs a Hub on this machine, and a Hub that somebody else's work needs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum, auto
from importlib.util import find_spec
from pathlib import Path

from orchestrator.subprocess_call import command_of
from worker.ending import end
from worker.environment import environment
from worker.errors import BadConfig, HubtrainError
from worker.installing import install

END_SECONDS = 20.0
"""What a Hub gets to end its Spaces and Jobs."""


class Runner(StrEnum):
    """What a Space is on a Hub of this machine."""

    PROCESS = auto()
    """A process with the packages of this machine."""

    DOCKER = auto()
    """A container of its image, which is really built."""

    @classmethod
    def named(cls, name: str) -> Runner:
        """Return the runner of this name. Raises `BadConfig`."""
        try:
            return cls(name)
        except ValueError as error:
            told = " or ".join(map(repr, map(str, cls)))
            raise BadConfig(
                f"the runner of a Hub of this machine is {told}, not {name!r}."
            ) from error


def hub_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs a Hub here. Raises `HubtrainError` where it is not installed."""
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise HubtrainError("the local Hub is not installed.", fix=install(["hub"]))
    return command_of("localhub", *arguments)


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A Hub of this machine, with the users it was started for."""

    endpoint: str
    tokens: Mapping[str, str]
    """Token of every user, by name: each may write what is theirs."""

    folder: Path
    """Where its users keep what their programs keep: records, and the Hub's cache."""

    pid: int
    """Its process: that of a Space or a Job that runs as one is below it."""

    def environ(self, user: str) -> dict[str, str]:
        """Return the environment of a program that works on this Hub as a user, and on no other."""
        return {
            **bare_environment(),
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": self.tokens[user],
            "HF_HOME": str(self.folder / "cache"),
            "HF_HUB_DISABLE_XET": "1",  # it would keep each file twice
            "HUBTRAIN_HOME": str(self.folder / "home"),
        }


@contextmanager
def running_hub(
    folder: Path, users: Sequence[str], *, runner: Runner = Runner.PROCESS
) -> Iterator[RunningHub]:
    """Run a Hub that keeps all it has in `folder`, and end it with all that runs on it.

    Raises `HubtrainError` where it is not installed or does not start.
    """
    words = ["--json", "--until-eof", "--data", str(folder / "hub"), "--runner", runner]
    words += [word for user in users for word in ("--user", f"{user}:write:pro")]
    command = hub_command(words)
    with (
        (folder / "hub.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # it ends with this process, however that ends
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=bare_environment(),
            start_new_session=True,  # Ctrl-C is not for the Hub: it is ended below
        ) as process,
    ):
        try:
            assert process.stdout is not None
            if not (line := process.stdout.readline()):
                raise HubtrainError(
                    "the local Hub does not start.", fix=f"hubtrain hub --runner {runner} says why"
                )
            ready = json.loads(line)
            tokens = {user["name"]: str(user["token"]) for user in ready["users"]}
            yield RunningHub(str(ready["endpoint"]), tokens, folder, process.pid)
        finally:
            end(process, END_SECONDS)


def bare_environment() -> dict[str, str]:
    """Return this environment without accounts, settings of jobs and addresses of another Hub."""
    ours = ("HF_", "HUGGING_FACE_", "HUBTRAIN_")
    return {k: v for k, v in environment(os.environ).items() if not k.upper().startswith(ours)}
