"""Work that takes heavy libraries, done in a process of its own, since this one must stay light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from worker.duration import duration
from worker.environment import environment
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import endpoint


def environ_of(token: str | None) -> dict[str, str]:
    """Return what the process gets of the environment: what training on this machine would."""
    environ = {**environment(os.environ), "HF_ENDPOINT": endpoint()}
    return environ | ({"HF_TOKEN": token} if token else {})


def aside(words: tuple[str, ...], asked: object, environ: Mapping[str, str], seconds: float) -> Any:
    """Return what a module answers to a question, as `worker.answering` does.

    `words` are its name and its arguments. Raises `HubtrainError`, `BadConfig`.
    """
    command = [sys.executable, "-P", "-m", *words]
    with (
        tempfile.TemporaryFile() as trouble,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=trouble, env=environ
        ) as process,
    ):
        try:
            out = _told(process, json.dumps(asked).encode() + b"\n", seconds)
        except subprocess.TimeoutExpired as late:
            raise HubtrainError(f"no answer in {duration(seconds)}: stopped.") from late
        finally:
            process.kill()
        trouble.seek(0)
        why = trouble.read().decode(errors="replace").strip().splitlines()
    try:
        told: dict[str, Any] = json.loads(out)
    except ValueError:
        last = why[-1] if why else f"exit code {process.returncode}"
        raise HubtrainError(f"it ended without an answer: {last}") from None
    if "answer" in told:
        return told["answer"]
    raise (BadConfig if told["mendable"] else HubtrainError)(told["message"], fix=told["fix"])


def _told(process: subprocess.Popen[bytes], question: bytes, seconds: float) -> bytes:
    """Return what the process answers. Its input stays open: it lives as long as this one does."""
    assert process.stdin is not None
    with process.stdin as asking:
        process.stdin = None  # or `communicate` would close it
        with suppress(BrokenPipeError):  # it has ended; its last words say why
            asking.write(question)
            asking.flush()
        return process.communicate(timeout=seconds)[0]
