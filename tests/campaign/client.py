"""The command line in processes that are forked from a warm one, so that each takes no second."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

WARM = (
    "orchestrator.terminal.program",
    *(
        f"orchestrator.terminal.commands.{name}"
        for name in ("cancel", "gc", "jobs", "resume", "rm")
    ),
    *(f"backends.{name}" for name in ("spaces", "jobs", "local", "slurm", "docker")),
    "worker.tasks.quick",
    "orchestrator.terminal.command",
    "orchestrator.terminal.stages",
    "orchestrator.terminal.listing",
    "orchestrator.terminal.deployments",
    "orchestrator.jobs.resumed",
    "orchestrator.terminal.train",
    "orchestrator.terminal.ending",
    "orchestrator.jobs.gc",
    "huggingface_hub.hf_api",
    "huggingface_hub.hf_file_system",
    "tenacity",
    "pyarrow.parquet",
    "jinja2",
    "rich.progress",
    "packaging.requirements",
)
"""Modules that commands import: loaded once, and found by every fork."""

HUNG_SECONDS = 90.0
"""A command that takes longer hangs."""


class Hangs(Exception):
    """A command does not end."""


@dataclass
class Client:
    """One run of a command, its output in files."""

    words: tuple[str, ...]
    pid: int
    log: Path
    began: float
    code: int | None = None
    """Its exit code, negative for a signal; none while it runs."""

    @classmethod
    def start(cls, words: tuple[str, ...], environ: Mapping[str, str], log: Path) -> Client:
        """Run a command of the house in a process of its own."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _become(words, environ, log)
        return cls(words, pid, log, time.monotonic())

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    @property
    def out(self) -> str:
        """What it has printed on standard output."""
        return _text(self.log.with_suffix(".out"))

    @property
    def err(self) -> str:
        """What it has printed on standard error."""
        return _text(self.log.with_suffix(".err"))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal, unless it has ended."""
        if not self.over:
            os.kill(self.pid, number)

    def wait(self, tick: Callable[[], None] = lambda: None) -> Client:
        """Wait for its end, calling `tick` meanwhile. Raises `Hangs`, and has killed it then."""
        while not self.over:
            if time.monotonic() - self.began > HUNG_SECONDS:
                self.kill()
                raise Hangs(f"`hubtrain {' '.join(self.words)}` did not end")
            tick()
            time.sleep(0.01)
        return self


def _text(file: Path) -> str:
    """Return what is in a file; nothing where the command was killed before it made one."""
    return file.read_text("utf-8", errors="replace") if file.exists() else ""


def warm() -> None:
    """Import what commands import. Nothing of it may hold a connection or a thread."""
    from importlib import import_module

    for module in WARM:
        import_module(module)


def _become(words: tuple[str, ...], environ: Mapping[str, str], log: Path) -> None:
    """Be the command, as a shell would have started it; never returns."""
    code = 1
    try:
        os.setsid()
        for number, suffix in ((1, ".out"), (2, ".err")):
            file = log.with_suffix(suffix)
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(log.parent)
        sys.argv = ["hubtrain", *words]
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        from orchestrator.terminal.entry import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
