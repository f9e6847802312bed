"""PID 1 of one run: starts the command, keeps its output, its memory limit and its ending.

    python -I shim.py RUN_FOLDER

The Hub starts one for each run and may then be killed and restarted: the shim goes on, and its
argv names the run's folder, which is how the next Hub finds it. SIGTERM ends the run. A script
of its own that imports nothing of `localhub`, knows no Spaces and no Jobs; it reads `order.json`
(written by `localhub.runtime.processes`) and leaves `exit.json`. POSIX only; on Linux it also gets
every orphan of the run, so that nothing the command started outlives it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psutil

assert sys.platform != "win32"

POLL = 0.1
"""Seconds between two looks at the processes."""

MEMORY_EVERY = 5
"""Memory and the Hub's lock are checked at every so many looks."""

KILLED = 128 + signal.SIGKILL
"""Exit code of what SIGKILL ended."""

LONGEST_LINE = 64 * 1024
"""Bytes after which a line without an end is logged as one."""

SET_CHILD_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of prctl(2)."""


def stamp() -> str:
    """Return the time as logs and exits carry it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Shim:
    """One run from its start to the end of its last process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order: dict[str, Any] = json.loads((folder / "order.json").read_text())
        self.told_to_stop = threading.Event()
        self.out_of_memory = False
        self.hub_seen = time.monotonic()
        self.newline: str = self.order["newline"]

    def run(self) -> None:
        """Start the command, wait for all its processes, and write down how it ended."""
        (self.folder / "started").touch()
        _adopt_orphans()
        signal.signal(signal.SIGTERM, lambda *_: self.told_to_stop.set())
        try:
            child = self._start()
        except OSError as error:
            self._log(f"{self.order['argv'][0]}: {error.strerror}")
            self._leave(127, f"{self.order['argv'][0]}: {error.strerror}")
            return
        assert child.stdout is not None
        reader = threading.Thread(target=self._keep_output, args=(child.stdout,), daemon=True)
        reader.start()
        code = self._watch(child.pid)
        _kill_all()
        reader.join(timeout=5)
        killed_for_memory = self.out_of_memory and code == KILLED
        self._leave(code, "Memory limit exceeded" if killed_for_memory else "")

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.order["argv"],
            cwd=self.order["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _watch(self, pid: int) -> int:
        """Wait for the command's end, killing what has to be killed; return its exit code."""
        kill_at = None
        for look in range(sys.maxsize):
            code = _reap(pid)
            if code is not None:
                return code
            if self.told_to_stop.is_set() and kill_at is None:
                kill_at = time.monotonic() + self.order["grace"]
                _signal_all(signal.SIGTERM)
            if kill_at is not None and time.monotonic() > kill_at:
                _signal_all(signal.SIGKILL)
            if look % MEMORY_EVERY == 0:
                self._limit_memory()
                self._give_up_without_hub()
            time.sleep(POLL)
        raise AssertionError("unreachable")

    def _limit_memory(self) -> None:
        """Kill the largest process if all together hold more than they may, as the kernel does."""
        limit = self.order["memory"]
        sizes = [(_size(process, "rss"), process) for process in _descendants()]
        if sum(size for size, _ in sizes) <= limit:
            return
        fair = [(_size(process, "pss"), process) for _, process in sizes]
        if sum(size for size, _ in fair) <= limit:
            return
        largest = max(fair, key=lambda pair: pair[0])[1]
        self.out_of_memory = True
        with contextlib.suppress(psutil.Error):
            largest.kill()

    def _give_up_without_hub(self) -> None:
        """End the run once no Hub has held its lock for as long as the order allows."""
        now = time.monotonic()
        if not self.order["hub_lock"] or _is_locked(self.order["hub_lock"]):
            self.hub_seen = now
        elif now - self.hub_seen > self.order["orphan_seconds"]:
            self.told_to_stop.set()

    def _keep_output(self, stream: IO[bytes]) -> None:
        while line := stream.readline(LONGEST_LINE):
            self._log(line.decode("utf-8", "replace").rstrip("\n"))

    def _log(self, line: str) -> None:
        event = {"timestamp": stamp(), "data": line + self.newline}
        data = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        log = os.open(self.order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log, data)
        finally:
            os.close(log)

    def _leave(self, code: int, reason: str) -> None:
        exit_file = self.folder / "exit.json"
        arriving = exit_file.with_suffix(".tmp")
        stopped = self.told_to_stop.is_set()
        ending = {"code": code, "reason": reason, "at": stamp(), "stopped": stopped}
        arriving.write_text(json.dumps(ending))
        arriving.replace(exit_file)


def _adopt_orphans() -> None:
    """Become the parent of orphaned descendants, where the system allows it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _is_locked(path: str) -> bool:
    """Return whether a process holds the lock; false if its folder is gone."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _descendants() -> list[psutil.Process]:
    try:
        return psutil.Process().children(recursive=True)
    except psutil.Error:
        return []


def _signal_all(number: signal.Signals) -> None:
    for process in _descendants():
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _kill_all() -> None:
    """Kill until nothing is left: a process may be starting another one meanwhile."""
    while _descendants():
        _signal_all(signal.SIGKILL)
        _reap(None)
        time.sleep(POLL / 5)


def _reap(wanted: int | None) -> int | None:
    """Reap every child that has exited; return the exit code of `wanted` if it is one."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == wanted:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else 128 - code
    return found


def _size(process: psutil.Process, kind: str) -> int:
    """Return a process's bytes of memory, 0 if it is gone."""
    try:
        if kind == "pss" and sys.platform == "linux":
            return int(process.memory_full_info().pss)
        return int(process.memory_info().rss)
    except (psutil.Error, OSError):
        return 0


if __name__ == "__main__":
    Shim(Path(sys.argv[1])).run()
