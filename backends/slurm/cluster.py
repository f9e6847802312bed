"""The cluster as a shell: Slurm's own commands, on this machine or on a login node.

What is to be done there is a verb of `cluster.sh`, which runs whole, so that one connection does
one thing and a connection that is lost leaves none half done. OpenSSH's own configuration, agent
and open connections are used; nothing is ever asked.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from backends.errors import BackendError
from worker.errors import HubUnreachable
from worker.home import home, make_private

SECONDS = 60.0
"""How long one verb may take."""

CONNECT_SECONDS = 15
KEEP_SECONDS = 60
"""How long a connection of ours stays open for the next verb."""

LONGEST_FOLDER = 45
"""Characters of the folder of our connections: of the 104 that a socket's path may have on macOS,
its name takes 40 and what ssh appends for a moment 17."""

_SSH_FAILED = 255
_SHELL_KILLED = 128
"""To it a shell adds the signal that killed its command: the far one may be killed alone."""
_NOT_FOUND = 127
GONE = 44
"""What a verb of `cluster.sh` exits with where a job's folder is not there."""

_ANSWER = b"@hubtrain-answer\n"
"""Stands before what a verb says: a login shell may greet first."""

_AWAY = (
    "unable to contact slurm",
    "connection refused",
    "timed out",
    "zero bytes were transmitted",
)
"""How Slurm's commands say that its controller does not answer, in small letters."""


_UNCONFIGURED = ("process configuration file", "configuration source")
"""How they say that nobody has told them of a cluster."""

_ELSEWHERE = "Name a login node: --slurm-host, or HUBTRAIN_SLURM_HOST for all commands."


class Gone(BackendError):
    """The folder of a job is not there."""


class NoSlurm(BackendError):
    """There are no commands of Slurm where they were looked for."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where `sbatch` is: a login node that `ssh` reaches, or this machine."""

    host: str | None = None

    @property
    def where(self) -> str:
        """It, in words."""
        return self.host or "this machine"

    def do(self, verb: str, *arguments: str, given: bytes = b"", seconds: float = SECONDS) -> bytes:
        """Do a verb of `cluster.sh` and return what it says.

        Raises `HubUnreachable` where the host or Slurm's controller does not answer, `Gone`,
        `NoSlurm`, and `BackendError` with Slurm's own words where it refuses.
        """
        command = ["/bin/sh", "-c", _program(), "hubtrain", verb, *arguments]
        if self.host:
            command = [*_ssh(self.host), "--", self.host, shlex.join(command)]
        try:
            ran = subprocess.run(
                command, input=given, capture_output=True, timeout=seconds, check=False
            )
        except FileNotFoundError as error:
            raise NoSlurm(f"There is no {command[0]} on this machine.", fix=_ELSEWHERE) from error
        except subprocess.TimeoutExpired as error:
            raise HubUnreachable(f"{self.where} did not answer within {seconds:.0f} s.") from error
        said = ran.stdout.partition(_ANSWER)[2]
        if ran.returncode:
            raise self._refusal(ran.returncode, ran.stderr.decode(errors="replace").strip())
        return said

    def _refusal(self, code: int, words: str) -> Exception:
        if code < 0 or _SHELL_KILLED < code < _SSH_FAILED:  # what it did until then is not known
            return HubUnreachable(
                f"What spoke with {self.where} was killed (signal {abs(code) % _SHELL_KILLED}).",
                fix="Run the same command again.",
            )
        if code == GONE:
            return Gone("its folder is not there.")
        if self.host and code == _SSH_FAILED:
            return _no_way(self.host, words)
        if any(away in words.lower() for away in _AWAY):
            return HubUnreachable(f"Slurm's controller does not answer {self.where}: {words}")
        if code == _NOT_FOUND or any(lacking in words for lacking in _UNCONFIGURED):
            return NoSlurm(f"There is no Slurm on {self.where}.", fix=_ELSEWHERE)
        return BackendError(words or f"{self.where} ended with exit code {code}.")


def _no_way(host: str, words: str) -> Exception:
    last = words.splitlines()[-1] if words else "no reason given"
    if "Permission denied" in words:
        fix = f"`ssh {host}` has to work without a question: `ssh-add`, or keep a connection open."
        return BackendError(f"{host} does not let you in: {last}", fix=fix)
    if "Host key verification failed" in words:
        return BackendError(f"{host} is not known yet.", fix=f"Type `ssh {host}` once.")
    return HubUnreachable(f"ssh does not reach {host}: {last}")


@lru_cache
def _program() -> str:
    return (files("backends.slurm") / "cluster.sh").read_text("utf-8")


def _ssh(host: str) -> list[str]:
    """Return `ssh` with what must hold for us; all else is as the user has configured it."""
    common = ["ssh", "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"]
    return [*common, "-o", "ServerAliveInterval=15", *_shared(host)]


def _shared(host: str) -> tuple[str, ...]:
    """Return what lets verbs share a connection; nothing where the user's configuration does."""
    if _shares_already(host) or (folder := _short(home() / "ssh")) is None:
        return ()
    keep = f"ControlPersist={KEEP_SECONDS}"
    return ("-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/%C", "-o", keep)


@lru_cache
def _shares_already(host: str) -> bool:
    """Whether the user's own configuration says how connections are shared, or none can be."""
    if os.name == "nt":
        return True
    asked = subprocess.run(["ssh", "-G", host], capture_output=True, text=True, check=False)
    told = dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)
    return told.get("controlpath", "none") != "none"


def _short(folder: Path) -> Path | None:
    """Return the folder, made, if the path of a socket in it is one that the system takes."""
    if len(str(folder)) > LONGEST_FOLDER:
        return None
    make_private(home())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
