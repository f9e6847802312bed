"""What a job has printed, page by page, for programs that read it to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

Read = Callable[[], Iterator[str]]
"""What reads the lines of a job from the first on. Raises `HubtrainError`."""

AHEAD = 20_000
"""Lines that are kept behind those that were asked for: the next pages are not read again."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines of a job that follow each other."""

    job_id: str = ""
    first: int = 0
    """How many lines come before."""

    lines: tuple[str, ...] = ()

    def page(self, job_id: str, after: int, limit: int) -> Stretch | None:
        """Return so many lines behind the first `after`; none where it does not have them all."""
        start = after - self.first
        if job_id != self.job_id or start < 0 or start + limit > len(self.lines):
            return None
        return Stretch(job_id, after, self.lines[start : start + limit])


@dataclass
class Pages:
    """The output of jobs, page by page: whoever reads one to its end has it read once, or nearly.

    Used from several threads; what is kept is of the job that was asked about last.
    """

    _kept: Stretch = Stretch()

    def page(self, job_id: str, after: int, limit: int, read: Read) -> Stretch:
        """Return up to `limit` lines behind the first `after`. Raises what `read` does."""
        if (found := self._kept.page(job_id, after, limit)) is not None:
            return found
        coming = islice(read(), after, after + limit + AHEAD)
        self._kept = Stretch(job_id, after, tuple(coming))
        return Stretch(job_id, after, self._kept.lines[:limit])


def last(job_id: str, limit: int, read: Read) -> Stretch:
    """Return the last `limit` lines that there are. Raises what `read` does."""
    kept = deque(enumerate(read()), maxlen=limit)
    first = kept[0][0] if kept else 0
    return Stretch(job_id, first, tuple(line for _, line in kept))
