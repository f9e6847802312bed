"""A terminal as tests use it: a command in a pseudo-terminal, what it shows, and what is typed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CTRL_C, CTRL_D = "\x03", "\x04"


@dataclass
class Terminal:
    """A command that runs, and all that it has shown."""

    process: subprocess.Popen[bytes]
    fd: int
    shown: str = ""
    seen: int = 0
    """Up to where `until` has looked."""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.fd, text.encode())

    def until(self, text: str, seconds: float = 60.0) -> str:
        """Return what is shown up to and with `text`, from where the last call ended."""
        deadline = time.monotonic() + seconds
        while (at := self.shown.find(text, self.seen)) < 0:
            assert time.monotonic() < deadline, f"{text!r} is not shown: {self.shown!r}"
            assert self._read(), f"it ended without {text!r}: {self.shown!r}"
        found = self.shown[self.seen : at + len(text)]
        self.seen = at + len(text)
        return found

    def press(self, key: str, text: str) -> None:
        """Press a key until `text` is shown, as a person would.

        A Ctrl-C between the prompt and the wait for a line is seen by Python with the next key.
        """
        for _ in range(20):
            self.type(key)
            until = time.monotonic() + 3
            while time.monotonic() < until and self.shown.find(text, self.seen) < 0:
                assert self._read(), f"it ended without {text!r}: {self.shown!r}"
            if self.shown.find(text, self.seen) >= 0:
                break
        self.until(text, seconds=0.1)

    def end(self, key: str = "") -> int:
        """Return the exit code, once it ends by itself, or by a key that is pressed until then."""
        pressed = 0.0
        while self._read():
            if key and time.monotonic() - pressed > 3:
                self.type(key)
                pressed = time.monotonic()
        return self.process.wait(timeout=60)

    def _read(self) -> bool:
        """Take what there is to read; false once nothing more will come."""
        if select.select([self.fd], [], [], 0.2)[0]:
            try:
                self.shown += os.read(self.fd, 4096).decode(errors="replace").replace("\r\n", "\n")
            except OSError:
                return False
        return True


@contextmanager
def terminal(
    *words: str, cwd: Path, environ: Mapping[str, str], term: str = "dumb"
) -> Iterator[Terminal]:
    """Run `hubtrain` with these words in a terminal of its own while inside."""
    command = [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words]
    with running_in_a_terminal(command, cwd=cwd, environ=environ, term=term) as shown:
        yield shown


@contextmanager
def running_in_a_terminal(
    command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], term: str = "dumb"
) -> Iterator[Terminal]:
    """Run any command in a terminal of its own while inside."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=cwd,
        env={**environ, "TERM": term},
        start_new_session=True,
        preexec_fn=_own_terminal,  # noqa: PLW1509 (there is no thread that could hold a lock)
    )
    os.close(its)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _own_terminal() -> None:
    """Make standard input the terminal that Ctrl-C is sent from."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
