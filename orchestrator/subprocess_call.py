"""Calls a module in a subprocess, for work with heavy libraries that this process must not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from worker.duration import duration
from worker.environment import environment
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import endpoint

ENDING_SECONDS = 5.0
"""What a process gets to end by itself, once it says nothing that can be read."""


LOOK_SECONDS = 0.5
"""How often whoever waits for an answer is asked whether to go on."""


def environ_of(token: str | None) -> dict[str, str]:
    """Return what the process gets of the environment: what training on this machine would."""
    environ = {**environment(os.environ), "HF_ENDPOINT": endpoint()}
    return environ | ({"HF_TOKEN": token} if token else {})


def command_of(*words: str) -> list[str]:
    """Return the command that runs a module; `words` are its name and its arguments."""
    return [sys.executable, "-P", "-m", *words]


def call_in_subprocess(
    words: tuple[str, ...],
    asked: object,
    environ: Mapping[str, str],
    seconds: float,
    *,
    while_waiting: Callable[[], None] = lambda: None,
) -> Any:
    """Run a module in a subprocess, send it `asked` as JSON, and return its JSON answer.

    `words` are the module's name and arguments; `worker.tool` is one. `while_waiting` is called
    every `LOOK_SECONDS`; what it raises ends the process. Raises `HubtrainError`, `BadConfig`.
    """
    with (
        tempfile.TemporaryFile() as trouble,
        subprocess.Popen(
            command_of(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=trouble,
            env=environ,
        ) as process,
    ):
        try:
            out = _told(process, json.dumps(asked).encode() + b"\n", seconds, while_waiting)
        except subprocess.TimeoutExpired as late:
            raise HubtrainError(f"no answer in {duration(seconds)}: stopped.") from late
        finally:
            process.kill()
        return answer_in(out, process, trouble)["answer"]


def answer_in(
    out: bytes, process: subprocess.Popen[bytes], trouble: IO[bytes]
) -> Mapping[str, Any]:
    """Return what a process told as JSON. Raises what it says went wrong, or how it ended."""
    try:
        told = json.loads(out)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
        process.kill()
        process.wait()
        trouble.seek(0)
        why = trouble.read().decode(errors="replace").strip().splitlines()
        last = why[-1] if why else f"exit code {process.returncode}"
        raise HubtrainError(f"it ended without an answer: {last}")
    if "message" in told:
        kind = BadConfig if told.get("mendable") else HubtrainError
        raise kind(str(told["message"]), fix=str(told.get("fix", "")))
    return told


def _told(
    process: subprocess.Popen[bytes],
    question: bytes,
    seconds: float,
    while_waiting: Callable[[], None],
) -> bytes:
    """Return what the process answers. Its input stays open: it lives as long as this one does."""
    assert process.stdin is not None
    until = time.monotonic() + seconds
    with process.stdin as asking:
        process.stdin = None  # or `communicate` would close it
        with suppress(BrokenPipeError):  # it has ended; its last words say why
            asking.write(question)
            asking.flush()
        while True:
            left = until - time.monotonic()
            try:
                return process.communicate(timeout=min(max(left, 0.0), LOOK_SECONDS))[0]
            except subprocess.TimeoutExpired:
                if left <= LOOK_SECONDS:
                    raise
                while_waiting()
