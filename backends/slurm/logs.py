"""The log of a Slurm job: a file of the shared file system, read in pieces through its cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from backends.slurm.cluster import Cluster
from worker.clock import Clock
from worker.errors import HubUnreachable

LOOK_SECONDS = 0.5
LOOK_SECONDS_FAR = 2.0
"""Wait between two looks at the log, here and over ssh."""

LOOK_SECONDS_WAITING = 10.0
"""The wait becomes this long for a job that has said nothing: it may be last of many in a queue."""

ASK_SECONDS = 5.0
ASK_SECONDS_MOST = 60.0
"""How long a log is silent before Slurm is asked whether the job lives; it grows while it does."""


class Log:
    """One job's log, and how far it has been read."""

    def __init__(self, cluster: Cluster, folder: str) -> None:
        self.cluster, self.folder = cluster, folder
        self.over = False
        """Whether the job's script said that it had ended, before the last piece was read."""

        self.read = 0
        """Bytes so far."""

        self._rest = b""

    def new_lines(self) -> Iterator[str]:
        """Yield the whole lines that are new. Raises as `Cluster.do`."""
        while piece := self._piece():
            *whole, self._rest = (self._rest + piece).split(b"\n")
            yield from map(_text, whole)

    def rest(self) -> Iterator[str]:
        """Yield the last line, where it has no end."""
        if self._rest:
            yield _text(self._rest)
            self._rest = b""

    def _piece(self) -> bytes:
        told = self.cluster.do("lines", self.folder, str(self.read))
        word, _, piece = told.partition(b"\n")
        self.over = word == b"over"
        self.read += len(piece)
        return piece


def read(cluster: Cluster, folder: str) -> Iterator[str]:
    """Yield the lines there are."""
    log = Log(cluster, folder)
    yield from log.new_lines()
    yield from log.rest()


def follow(cluster: Cluster, folder: str, alive: Callable[[], bool], clock: Clock) -> Iterator[str]:
    """Yield lines as they come until the job is not alive. A cluster that is away is waited for."""
    log = Log(cluster, folder)
    look = soon = LOOK_SECONDS_FAR if cluster.host else LOOK_SECONDS
    silent, ask = 0.0, ASK_SECONDS
    while True:
        try:
            for line in log.new_lines():
                silent, ask = 0.0, ASK_SECONDS
                yield line
            if log.over or silent >= ask:
                if not alive():
                    break
                silent, ask = 0.0, min(ask * 1.5, ASK_SECONDS_MOST)
        except HubUnreachable:
            silent = 0.0
        clock.sleep(look)
        silent += look
        look = soon if log.read else min(look * 1.2, LOOK_SECONDS_WAITING)
    yield from log.new_lines()
    yield from log.rest()


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
