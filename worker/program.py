"""Runs a program of the user's to its end, and passes on what it prints."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from worker.contract import Phase
from worker.prctl import tied_to_parent

TELL_SECONDS = 30.0
"""How often it is told that a program which prints goes on."""

LAST_WORDS = 20
"""Lines of output that go with a failure."""

LONGEST = 1 << 16
"""The longest of them, in characters."""

TOO_LONG = f"[a line of more than {LONGEST:,} characters]"

SILENCE_SECONDS = 0.5
"""How long the output of an ended program may take to come through."""

_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    code: int
    """Its exit code, negative for a signal."""

    last_words: str
    """The end of what it printed."""


def run_program(
    what: str,
    command: Sequence[str | Path],
    folder: Path,
    environ: Mapping[str, str],
    emit: Callable[[Phase], None],
) -> Ended:
    """Run a program in `folder` and return how it ended; what it prints goes to standard output.

    `what` goes on is told at its beginning, and then as long as it prints: one that is silent for
    too long is taken for hung. Where it leaves others behind, those are not waited for.
    """
    emit(Phase(name=what))
    told, words = time.monotonic(), _LastWords()
    with subprocess.Popen(
        [*tied_to_parent(), *map(str, command)],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as process:
        chunks: queue.Queue[bytes] = queue.Queue(1000)
        reader = threading.Thread(target=_read, args=(process.stdout, chunks), daemon=True)
        reader.start()
        while (chunk := _next(chunks)) or process.poll() is None or reader.is_alive():
            if not chunk and process.poll() is not None:
                break  # somebody it left behind keeps the pipe open
            _pass_on(chunk)
            words.take(chunk)
            if chunk.endswith((b"\n", b"\r")) and time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                emit(Phase(name=what))
        code = process.wait()
    return Ended(code, words.text)


class _LastWords:
    """The last lines of what comes in pieces. One that is too long is left out whole.

    A part of it could end in half a secret, which nobody recognises.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LAST_WORDS)
        self._begun = ""
        self._length = 0
        """Characters of the line that has begun, kept or not."""

    def take(self, chunk: bytes) -> None:
        more, *lines = _ENDS.split(chunk.decode(errors="replace"))
        self._length += len(more)
        self._begun = self._begun + more if self._length <= LONGEST else TOO_LONG
        for line in lines:
            if self._begun.strip():
                self._lines.append(self._begun)
            self._begun, self._length = line, len(line)

    @property
    def text(self) -> str:
        return "\n".join([*self._lines, *([self._begun] if self._begun.strip() else [])])


def _read(stream: IO[bytes] | None, chunks: queue.Queue[bytes]) -> None:
    assert stream is not None
    while chunk := stream.read(1 << 16):
        chunks.put(chunk)


def _next(chunks: queue.Queue[bytes]) -> bytes:
    try:
        return chunks.get(timeout=SILENCE_SECONDS)
    except queue.Empty:
        return b""


def _pass_on(chunk: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
