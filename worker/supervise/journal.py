"""The job's events and last log lines: numbered, without secrets, written to disk at once.

Every event goes to standard output as a marked line, which each provider's log stream carries,
and to `events.jsonl`, which is pushed beside the model. It does not know what events mean.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from worker.clock import Clock
from worker.contract import EVENTS_FILE, MARK, Event, from_line, marked, to_line

LOG_FILE = "worker.log"
TAIL_LINES = 2000
LONGEST_LINE = 8192
"""Characters of a log line that are kept."""

MOST_LOG = 64_000_000
"""Characters of the log that are kept on disk: the room there is the model's."""

CUT = "[earlier lines are too many to be kept here: see hubtrain logs]"

_ENDS = re.compile(r"\r\n|\r|\n")


class Journal:
    """The events and log lines of a job. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        redact: Callable[[str], str],
        out: TextIO | None = None,
    ) -> None:
        self.path = folder / EVENTS_FILE
        self.log_path = folder / LOG_FILE
        self.version = 0
        """Grows with every event and line, so that readers know whether to look again."""

        self._events: list[Event] = list(read_events(self.path))
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._clock, self._redact = clock, redact
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        # A restarted machine does not know the last number. Counting from the time of the start, in
        # milliseconds, never gives an event the number of one from before the restart.
        born = int(clock.now().timestamp() * 1000)
        self._last = max([born, *(e.seq for e in self._events)])
        self._file = self.path.open("a", encoding="utf-8")
        self._file.write("\n" if _torn(self.path) else "")
        self._log = self.log_path.open("a", encoding="utf-8")
        self._room = MOST_LOG - self.log_path.stat().st_size

    @property
    def events(self) -> list[Event]:
        """The events so far, oldest first."""
        with self._lock:
            return list(self._events)

    @property
    def tail(self) -> list[str]:
        """The last log lines, oldest first."""
        with self._lock:
            return list(self._tail)

    def say(self, event: Event) -> Event:
        """Number and stamp an event, print and store it, and return it as it was stored."""
        with self._lock:
            told = self._clean(event, self._last + 1)
            self._last += 1
            self._events.append(told)
            self._write(self._file, to_line(told))
            self._write(self._out, marked(told))
            self.version += 1
        return told

    def draft(self, event: Event, ahead: int) -> Event:
        """Return an event as `say` will store it `ahead` places from now, without storing it."""
        with self._lock:
            return self._clean(event, self._last + ahead)

    def log(self, text: str) -> str:
        """Keep and print ordinary output, and return it as it was kept."""
        # Redacted before it is cut, because half a secret would not be recognized.
        kept = [_harmless(line) for line in _ENDS.split(self._redact(text.rstrip()))]
        with self._lock:
            for line in kept:
                self._tail.append(line)
                self._keep(line)
                self._write(self._out, line)
            self.version += 1
        return "\n".join(kept)

    def adopt(self, events: Iterable[Event]) -> None:
        """Take over the events from before a restart, without printing them again."""
        with self._lock:
            self._events = list(events)
            self._last = max([self._last, *(e.seq for e in self._events)])
            self.version += 1

    def retell(self, events: Iterable[Event]) -> None:
        """Say events of an earlier job as they were numbered there, those not told yet.

        So a machine that is restarted and says them again says nothing new.
        """
        with self._lock:
            told = {event.seq for event in self._events}
            for event in events:
                if event.seq not in told:
                    self._events.append(event)
                    self._write(self._file, to_line(event))
                    self._write(self._out, marked(event))
            self.version += 1

    def close(self) -> None:
        """Close the files. Nothing may be said afterwards."""
        with self._lock:
            self._file.close()
            self._log.close()

    def _clean(self, event: Event, seq: int) -> Event:
        about: dict[str, Any] = {"seq": seq, "source": "worker"}
        stamped = event.model_copy(update=about)
        line = to_line(stamped)
        clean = self._redact(line)
        return (from_line(clean) if clean != line else None) or stamped

    def _keep(self, line: str) -> None:
        """Keep a line on disk; where they are too many, the last ones alone."""
        lines = [line]
        self._room -= len(line)
        if self._room < 0:
            self._room = MOST_LOG
            lines = [CUT, *self._tail]
            self._log.close()
            with suppress(OSError):  # who reads the file now reads it to its end
                self.log_path.unlink()
            with suppress(OSError):
                self._log = self.log_path.open("a", encoding="utf-8")
        for one in lines:
            self._write(self._log, one)

    @staticmethod
    def _write(to: TextIO, line: str) -> None:
        # A full disk or a closed pipe must not end the job.
        try:
            to.write(line + "\n")
            to.flush()
        except (OSError, ValueError):
            pass


def jsonl(events: Iterable[Event]) -> str:
    """Return events as the text of a file, one a line."""
    return "".join(to_line(event) + "\n" for event in events)


def _harmless(line: str) -> str:
    """Return a line that cannot be read as an event, wherever it is cut."""
    line = line[:LONGEST_LINE].replace(MARK, f"{MARK.strip()}: ")
    return "| " + line if from_line(line) else line


def _torn(path: Path) -> bool:
    """Whether a file ends within a line, as a killed process leaves it."""
    text = path.read_bytes()
    return bool(text) and not text.endswith(b"\n")


def read_events(path: Path) -> Iterable[Event]:
    """Yield the events of a file; none if there is no such file. A torn last line is skipped."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if event := from_line(line):
                yield event
