"""The app as tests use it: the real command in a process of its own, and who visits it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import httpx2

from standins.waiting import until

STARTS = 120.0
"""Seconds that gradio may take to load on a busy machine."""


def environ_in(folder: Path) -> dict[str, str]:
    """Return the environment of somebody whose jobs and models are in a folder."""
    own = {"HUBTRAIN_HOME": str(folder / "home"), "HF_HOME": str(folder / "hf"), "COLUMNS": "300"}
    return {**os.environ, **own}


def command(folder: Path, *words: str) -> str:
    """Run a command of theirs to its end, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words],
        env=environ_in(folder),
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Application:
    """`hubtrain app`, from when it answers until the end of the block."""

    def __init__(
        self, folder: Path, *words: str, environ: dict[str, str] | None = None, port: int = 0
    ) -> None:
        self.home = folder / "home"
        self.printed = ""
        asked = ["app", "--no-open", "--port", str(port), *words]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *asked],
            env={**environ_in(folder), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line

    @property
    def url(self) -> str:
        """Where its user opens it."""
        found = re.search(r"The app is at (\S+)", self.printed)
        assert found, self.printed
        return found[1]

    def __enter__(self) -> Self:
        until(lambda: "Ctrl-C" in self.printed or self.process.poll() is not None, STARTS)
        if self.process.poll() is not None:
            self.__exit__()
            raise AssertionError(self.printed)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(120)
        finally:
            self.process.kill()
            self.process.wait()
            self._reading.join(5)
            assert self.process.stdout is not None
            self.process.stdout.close()


def visitor(url: str, **how: Any) -> httpx2.Client:
    """Return a client that finds the host names of pages as browsers do: on this machine."""
    own = httpx2.URL(url)
    headers = {"Host": own.netloc.decode(), **how.pop("headers", {})}
    here = own.copy_with(host="127.0.0.1", query=None)
    return httpx2.Client(base_url=here, headers=headers, **{"timeout": 60, **how})
