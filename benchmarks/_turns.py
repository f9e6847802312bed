"""Contestants in processes of their own, which import side by side and train one after another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

LIMIT = 600
"""Seconds that a contestant may take."""

MEMORY = 84e9
"""Of an H100, less what CUDA takes."""

QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}


class Clock:
    """What is done a second between two moments: CPU-seconds, or on a GPU those of the clock."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.told: list[tuple[float, int]] = []

    def tick(self, done: int) -> None:
        """Take the time at which so much is done, once a GPU has done all it was given."""
        self.told.append((self._now(), done))

    def _now(self) -> float:
        if self.device == "cpu":
            return time.process_time()
        import torch

        torch.cuda.synchronize()
        return time.perf_counter()

    @property
    def a_second(self) -> float:
        """What was done a second between the first moment and the last."""
        (began, before), (ended, after) = self.told[0], self.told[-1]
        return (after - before) / (ended - began)

    @property
    def memory(self) -> dict[str, float]:
        """The most bytes that torch held of a GPU, and took of it."""
        import torch

        held, taken = torch.cuda.max_memory_allocated, torch.cuda.max_memory_reserved
        return {"allocated": held(), "reserved": taken()} if self.device == "cuda" else {}


def your_turn(device: str) -> None:
    """Wait, all libraries loaded, until one is next, and then until the machine is free."""
    import torch

    print("ready", flush=True)
    sys.stdin.readline()
    torch.zeros(1, device=device)  # begins CUDA, which takes seconds
    sys.stdin.readline()


def leave(found: Mapping[str, float]) -> None:
    """Tell what was found, and end at once: taking CUDA down takes seconds."""
    print(json.dumps(found), flush=True)
    os._exit(0)


class Child:
    """A contestant in a process of its own, which imports and then waits for its turn."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str] = {}) -> None:
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, **QUIET, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def ready(self) -> None:
        """Wait until all is imported; where that fails, `run` says so."""
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def warm(self) -> None:
        """Let it begin CUDA."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has failed, and `run` says so
            self.process.stdin.write("warm\n")
            self.process.stdin.flush()

    def run(self) -> dict[str, float] | None:
        """Let it train; returns what it found, none if it failed."""
        try:
            said, _ = self.process.communicate("go\n", timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.returncode:
            self.errors.seek(0)
            print(f"  {self.name} failed: {self.errors.read()[-1500:]}", flush=True)
            return None
        return dict(json.loads(said.splitlines()[-1]))


def in_turn(children: Sequence[Child]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what each child finds that does not fail; the next begins CUDA meanwhile."""
    for child in children:
        child.ready()
    children[0].warm()
    for child, following in zip(children, [*children[1:], None], strict=True):
        if following:
            following.warm()
        if found := child.run():
            yield child.name, found
