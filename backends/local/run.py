"""One job's folder on this machine, and the process that lives in it.

The worker holds the folder's `lock` for as long as it lives: `start` hands it down and the kernel
gives it up. So "does it run?" has one answer, which no crash and no reused process id can make
wrong. The price: the folder has to be on a disk of this machine, since network disks do not hand
locks to children.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.errors import JobGone
from worker.clock import Clock
from worker.detached import detached
from worker.home import home

PAGE_KEY = "HUBTRAIN_PAGE_KEY"
"""Environment of the worker: the word that opens its page."""

_KEY_FILE = "page.key"

LOOK_SECONDS = 0.2
"""Wait between two looks at a log that is followed."""

if sys.platform == "win32":

    def _hold(path: Path, *, shared: bool = False) -> int | None:
        """Return a descriptor that holds the lock; none if a living process has it."""
        try:
            path.unlink(missing_ok=True)  # Windows refuses while anybody has it open
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        except OSError:
            return None

else:
    import fcntl

    def _hold(path: Path, *, shared: bool = False) -> int | None:
        """Return a descriptor that holds the lock; none if a living process has it.

        Those who hold it `shared` keep out a worker, not one another.
        """
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        return lock


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`job.json`, `log.txt`, the id of the process in `pid`, and its `lock`."""

    path: Path

    @classmethod
    def of(cls, job_id: str) -> RunFolder:
        """Return the folder of a job."""
        if not re.fullmatch(r"\w[\w.-]*", job_id):  # handles are typed by people
            raise JobGone(f"{job_id!r} is no job of this machine.")
        return cls(home() / "runs" / job_id)

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def started(self) -> bool:
        """Whether a worker was ever started here, even by a launch that died before saying so."""
        wrote = self.log.exists() and self.log.stat().st_size > 0
        return wrote or (self.path / "pid").exists()

    @property
    def alive(self) -> bool:
        """Whether a living process has the lock."""
        if not (self.path / "lock").exists():
            return False
        lock = _hold(self.path / "lock", shared=True)  # two who ask at once must not see each other
        if lock is not None:
            os.close(lock)
        return lock is None

    def hold(self) -> int | None:
        """Take the lock, as an open file; none if a living process has it."""
        return _hold(self.path / "lock")

    def write(self, name: str, text: str) -> None:
        """Write a file that only this user may read."""
        (self.path / name).touch(mode=0o600)
        (self.path / name).write_text(text, encoding="utf-8")

    def made_key(self, clock: Clock) -> str:
        """Return a new key of the job's page, which only this user can read."""
        key = "".join(clock.new_id() for _ in range(4))
        self.write(_KEY_FILE, key)
        return key

    def opened(self, url: str) -> str | None:
        """Return the page's address with its key; none where there is no key."""
        with suppress(OSError):
            return f"{url}?key={(self.path / _KEY_FILE).read_text()}"
        return None

    def start(self, command: tuple[str, ...], environ: Mapping[str, str], lock: int) -> None:
        """Start a process that outlives this one and has the lock. Raises `OSError`."""
        os.set_inheritable(lock, True)
        inherit: dict[str, Any] = {"pass_fds": (lock,)}
        if sys.platform == "win32":
            inherit = {"close_fds": False}
        with self.log.open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                cwd=self.path,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **detached(),
                **inherit,
            )
        self.write("pid", str(process.pid))
        # A launcher that lives on must take note of the end, or the process stays as a zombie.
        threading.Thread(target=process.wait, daemon=True).start()

    def lines(self) -> Iterator[str]:
        """Yield what the process has written."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            yield from log

    def new_lines(self, clock: Clock) -> Iterator[str]:
        """Yield what the process writes until it is gone; the last line may lack its end."""
        line, alive = "", True
        with self.log.open(encoding="utf-8", errors="replace") as log:
            while alive:
                alive = self.alive  # asked before reading, so that the last lines are read
                while piece := log.readline():
                    line += piece
                    if line.endswith("\n"):
                        yield line
                        line = ""
                if alive:
                    clock.sleep(LOOK_SECONDS)
        if line:
            yield line

    def end(self, *, at_once: bool = False) -> None:
        """Ask the process to end, or end it. None there is no error."""
        # While the lock is held the id is the worker's: no other process can have taken it.
        if not self.alive or not (self.path / "pid").exists():
            return
        number = signal.SIGTERM
        if at_once and sys.platform != "win32":
            number = signal.SIGKILL
        with suppress(ProcessLookupError):
            os.kill(int((self.path / "pid").read_text()), number)

    def delete(self) -> None:
        """Delete the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
