"""Runs the trainer as a child in its own process group, and returns its output line by line.

It knows nothing about events: its reader separates them from the log. Start it from the main
thread, because Linux kills the child when the thread that started it ends.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from worker.prctl import adopts_orphans, tied_to_parent

LINE_BYTES = 1 << 16
"""Of a longer line only the beginning comes out."""

WAITING_LINES = 10_000
"""Lines that may wait to be read before the child has to wait with its next."""

KILLED_SECONDS = 5.0
"""Seconds to wait for a killed child: one that hangs in a driver's call may never end."""

DAEMONS = 10
"""How often what is left behind is looked for: a daemon that is killed may leave others."""

SILENCE_SECONDS = 0.5
"""How long the output of an ended child may take to come through."""

if sys.platform == "win32":
    _KILL = signal.SIGTERM
else:
    _KILL = signal.SIGKILL


class TrainerProcess:
    """One execution of a command."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.peak_bytes = 0
        """Most memory the group was seen to hold."""

        self._lines: queue.Queue[str] = queue.Queue(WAITING_LINES)
        self._process = subprocess.Popen(
            [*tied_to_parent(), *command],
            env=dict(env) if env is not None else None,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), daemon=True, name="trainer-output"
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code once the child has ended, negative for a signal; none while it lives."""
        return self._process.poll()

    def next_line(self, seconds: float) -> str | None:
        """Return the next line of output, waiting for it at most so long; none if there is none."""
        try:
            return self._lines.get(timeout=seconds) if seconds > 0 else self._lines.get_nowait()
        except queue.Empty:
            return None

    @property
    def silent(self) -> bool:
        """Whether the child has ended and all its output has been read."""
        if self.returncode is None:
            return False
        self._reader.join(SILENCE_SECONDS)  # a grandchild may keep the pipe open
        return self._lines.empty()

    def measure(self) -> int:
        """Return the memory the child and its children hold now, in bytes, and note the peak."""
        self._reap()
        held = sum(_resident(process) for process in self._descendants())
        self.peak_bytes = max(self.peak_bytes, held)
        return held

    def end(self, grace_seconds: float = 5.0) -> None:
        """Ask the group to end, then kill what is left of it. May repeat; returns in any case."""
        if self.returncode is None and grace_seconds > 0:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_seconds)
        left = self._descendants()
        # The child may have ended while its data loaders still run.
        self._signal(_KILL)
        for process in left:  # a launcher's children are in groups of their own
            with suppress(psutil.Error):
                process.kill()
        # A process that cannot be killed must not keep a paid machine running.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED_SECONDS)
        self._end_daemons()
        self._reader.join(KILLED_SECONDS)  # what it said last, on a busy machine too
        self.peak_bytes = max(self.peak_bytes, _most_ever_held())

    def _descendants(self) -> list[psutil.Process]:
        """Return the child and all that it has started, as far as the child still lives."""
        return _family(self.pid)

    def _left_behind(self) -> list[psutil.Process]:
        """Return what the child's children left to this process, if it adopts such.

        They are in other sessions than this process and what it starts for itself.
        """
        if sys.platform == "win32" or not adopts_orphans():
            return []
        found = []
        for process in psutil.Process().children():
            with suppress(ProcessLookupError):
                if process.pid != self.pid and os.getsid(process.pid) != os.getsid(0):
                    found.append(process)
        return found

    def _reap(self) -> None:
        """Take note of the end of what was left to this process: nobody else does."""
        if sys.platform == "win32" or not _something_ended():
            return
        for process in self._left_behind():
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)

    def _end_daemons(self) -> None:
        """Kill what the child left running in sessions of its own, and what that leaves in turn."""
        for _ in range(DAEMONS):
            left = self._left_behind()
            if not left:
                return
            for process in left:
                for one in reversed(_family(process.pid)):
                    with suppress(psutil.Error):
                        one.kill()
            psutil.wait_procs(left, KILLED_SECONDS / DAEMONS)
            self._reap()

    def _signal(self, number: signal.Signals) -> None:
        try:
            if sys.platform == "win32":
                self._process.terminate()
            else:
                os.killpg(self.pid, number)  # the group may still exist when the child has ended
        except (ProcessLookupError, PermissionError):
            pass

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            while piece := pipe.readline(LINE_BYTES):
                whole = piece.endswith(b"\n") or len(piece) < LINE_BYTES
                self._lines.put(_last_word(piece, whole=whole))
                while not whole:  # the rest could look like an event, or hold half a secret
                    rest = pipe.readline(LINE_BYTES)
                    whole = rest.endswith(b"\n") or not rest


def _last_word(line: bytes, *, whole: bool) -> str:
    """Return what a terminal would show of a line: a progress bar overwrites itself."""
    words = line.decode("utf-8", errors="replace").rstrip("\r\n").split("\r")
    return words[-1] if whole or len(words) == 1 else words[-2]


def _family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it has started; nothing once it is gone."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return []


def _something_ended() -> bool:
    """Whether a child of this process has ended that nobody took note of; asks only the kernel."""
    if sys.platform != "linux":  # no other adopts
        return False
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _most_ever_held() -> int:
    """Return the largest child's peak as the kernel kept it, which no sampling misses; in bytes."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
