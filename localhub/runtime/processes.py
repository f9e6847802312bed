"""Runs: commands that outlive the Hub's own restarts, each in a folder of its own.

A run is a `shim` (its PID 1) and everything below it. The folder of a run holds `app/` (its
files), `home/`, `tmp/`, and what Hub and shim tell each other: `order.json`, `exit.json`. Knows
no Spaces, no Jobs and no HTTP. POSIX only.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

SHIM = Path(__file__).with_name("shim.py")
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL; Kubernetes waits longer."""

PORTS = range(20_000, 32_000)
"""Where free ports are looked for: below those that the system gives to outgoing connections."""

SHARED = ("OMP_NUM_THREADS",)
"""Variables that say how this machine's cores are shared, where an order does not."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: 128 + N is death by signal N, 127 a command that could not start."""

    code: int
    reason: str
    at: datetime
    stopped: bool = False
    """Whether the Hub had asked for it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a run should do. `environment` and `SHARED` are all it gets; `memory` is in bytes."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    memory: int
    newline: str = ""
    """What each logged line ends with."""

    grace: float = GRACE
    hub_lock: Path | None = None
    """What the Hub holds locked while it lives."""

    orphan_seconds: float = 120.0
    """How long the run goes on without a Hub."""


class Run:
    """One run, started by this Hub or by the one before it. All methods may be repeated."""

    def __init__(self, folder: Path, shim: subprocess.Popen[bytes] | None = None) -> None:
        self.folder = folder
        self._child = shim
        self._shim: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._shim = psutil.Process(shim.pid) if shim else next(_shims_of(folder), None)

    @classmethod
    def start(cls, folder: Path, order: Order) -> Run:
        """Start the command in `folder/app`; a command that cannot start shows in its ending."""
        lay_out(folder)
        told = {
            "argv": list(order.argv),
            "cwd": str(folder / "app"),
            "log": str(order.log),
            "memory": order.memory,
            "newline": order.newline,
            "grace": order.grace,
            "hub_lock": str(order.hub_lock or ""),
            "orphan_seconds": order.orphan_seconds,
        }
        (folder / "order.json").write_text(json.dumps(told))
        with (folder / "shim.err").open("wb") as errors:
            shim = subprocess.Popen(
                [sys.executable, "-I", str(SHIM), str(folder)],
                cwd=folder,
                env={**shared(), **order.environment},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        return cls(folder, shim)

    def started(self) -> bool:
        """Return whether its shim was ever started."""
        return (self.folder / "started").exists()

    def alive(self) -> bool:
        """Return whether the shim is still running."""
        if self._child is not None:
            return self._child.poll() is None
        if self._shim is None:
            return False
        with contextlib.suppress(psutil.Error):
            return self._shim.is_running() and self._shim.status() != psutil.STATUS_ZOMBIE
        return False

    def ending(self) -> Ending | None:
        """Return how the run ended, or None while it goes on."""
        alive = self.alive()
        with contextlib.suppress(FileNotFoundError):
            told = json.loads((self.folder / "exit.json").read_text())
            at = datetime.fromisoformat(told["at"])
            return Ending(told["code"], told["reason"], at, told["stopped"])
        if alive:
            return None
        self._end_strays()
        return Ending(137, "The machine that ran it disappeared", datetime.now(UTC))

    def stop(self, grace: float = GRACE) -> None:
        """End everything the run started and wait for it; return when nothing is left."""
        if self._shim is not None and self.alive():
            with contextlib.suppress(psutil.Error):
                self._shim.send_signal(signal.SIGTERM)
            if not self.wait(grace + 5):
                with contextlib.suppress(psutil.Error):
                    self._shim.kill()
                self.wait(5)
        self._end_strays()

    def wait(self, seconds: float) -> bool:
        """Wait for the end at most that long; return whether it came."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def processes(self) -> list[psutil.Process]:
        """Return what the run has running, without its shim."""
        with contextlib.suppress(psutil.Error):
            return self._shim.children(recursive=True) if self._shim else []
        return []

    def listening(self, ports: Iterable[int], others: Iterable[psutil.Process] = ()) -> int | None:
        """Return the first of `ports` on which a process of this run accepts connections.

        `others` are processes that belong to it as well, though it did not start them.
        """
        heard: set[int] = set()
        for process in (*self.processes(), *others):
            with contextlib.suppress(psutil.Error):
                heard |= {
                    connection.laddr.port
                    for connection in process.net_connections("tcp")
                    if connection.status == psutil.CONN_LISTEN
                }
        return next((port for port in ports if port in heard), None)

    def discard(self) -> None:
        """Remove the files of a run that has ended; its log lies elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_strays(self) -> None:
        """Kill processes that outlived their shim, which are found by their `HOME`."""
        home = str(self.folder / "home")
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get("HOME") == home:
                    process.kill()


def lay_out(folder: Path) -> None:
    """Make the folders of a run that are not there yet."""
    for name in ("app", "home", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def found_in(folder: Path) -> list[Run]:
    """Return the runs below `folder` that are alive, whoever started them."""
    runs = [Run(Path(shim.cmdline()[-1])) for shim in _shims_of(None)]
    return [run for run in runs if run.folder.is_relative_to(folder) and run.alive()]


def _shims_of(folder: Path | None) -> Iterator[psutil.Process]:
    """Yield the shims there are, or those of one run's folder: their argv names it.

    The shim may lie elsewhere than ours: another version of this Hub may have started it.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            match process.cmdline():
                case [_, _, program, run] if Path(program).name == SHIM.name:
                    if run in {str(folder or run)}:
                        yield process


def shared() -> dict[str, str]:
    """Return the variables that a run has from the Hub's own."""
    return {name: os.environ[name] for name in SHARED if name in os.environ}


def clean_environment(folder: Path, path: str = "") -> dict[str, str]:
    """Return the variables every run gets; none is inherited from the Hub.

    `path` is what an image's PATH says; this interpreter's folder always comes first.
    """
    folders = [str(Path(sys.executable).parent), *(path or SYSTEM_PATH).split(":")]
    return {
        "PATH": ":".join(dict.fromkeys(filter(None, folders))),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "HF_HUB_DISABLE_XET": "1",
    }


def free_port() -> int:
    """Return a port nobody listens on, chosen so that two callers seldom get the same one."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def owner_only(path: Path) -> Path:
    """Create a file that only the Hub's user can read, if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    return path
