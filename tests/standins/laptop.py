"""A laptop as tests use it: the real command line in a process of its own, on a local Hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standins.documents import is_declared
from standins.localhub import HubServer
from standins.waiting import until

SECONDS = 280.0


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str
    words: tuple[str, ...] = ()
    """Those of the command."""

    @property
    def document(self) -> Any:
        """The JSON document of a `--json` command, which is one that it is said to print."""
        found = json.loads(self.out.splitlines()[-1])
        is_declared(self.words, found)
        return found


@dataclass
class Laptop:
    """One user's machine: a home folder, a token, and commands."""

    home: Path
    hub: HubServer
    user: str = "ann"

    @property
    def environ(self) -> dict[str, str]:
        return self.hub.env(self.user, HUBTRAIN_HOME=str(self.home), COLUMNS="200")

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start a command and return its process."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words],
            env=self.environ | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home.parent,
        )

    def run(self, *words: str, **more: str) -> Said:
        """Run a command to its end."""
        return finish(self.start(*words, **more))

    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs as the records have them, asking nobody."""
        said = self.run("jobs", "--offline", "--json")
        assert said.code == 0, said.err
        found: list[dict[str, Any]] = said.document
        return found


SUBMITTING = r"/api/(repos/create|datasets/.*commit|spaces/.*)"
"""Requests of a command that makes a Space, in which something is made."""


def killed_at(laptop: Laptop, nth: int, *words: str) -> bool:
    """Kill a command while the Hub has its nth request and has not answered; whether it had ended.

    The command had ended before if it makes fewer requests.
    """
    laptop.hub.forget_requests()
    laptop.hub.fault({"delay": 20}, method="POST", path=SUBMITTING, nth=nth)
    process = laptop.start(*words)

    def held() -> bool:
        return len(laptop.hub.requests(SUBMITTING, "POST")) >= nth

    until(lambda: process.poll() is not None or held(), 60)
    over = process.poll() is not None
    process.kill()
    process.communicate()
    laptop.hub.clear_faults()
    return over


def finish(process: subprocess.Popen[str]) -> Said:
    """Wait for a command to end, and return what it answered."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    words = process.args[4:] if isinstance(process.args, list) else []
    return Said(process.returncode, out, err, tuple(map(str, words)))


def processes(marker: str) -> dict[int, str]:
    """Return the command lines, by pid, of the processes that have `marker` in theirs."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if marker in words:
                found[int(entry.name)] = words
    return found


def trainer_of(job_id: str) -> int | None:
    """Return the pid of the process that trains a job on this machine, if there is one."""
    for pid, words in processes("worker.run").items():
        if "--fetch" in words:  # what it trains with is still brought here
            continue
        try:
            environ = (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"HUBTRAIN_JOB={job_id}".encode() in environ:
            return pid
    return None


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process."""
    os.kill(pid, number)
