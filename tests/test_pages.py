"""Output of jobs that is read page by page: whoever reads it to its end has it read once."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.jobs.pages import AHEAD, Pages, last

LINES = [f"line {n}" for n in range(2 * AHEAD)]


class Log:
    """A log that counts how often it is read."""

    def __init__(self, length: int) -> None:
        self.length, self.times = length, 0

    def read(self) -> Iterator[str]:
        self.times += 1
        yield from LINES[: self.length]


def walked(pages: Pages, log: Log, after: int = 0) -> list[str]:
    """Read a log to its end as programs do."""
    found: list[str] = []
    while page := pages.page("k4x", after, 1000, log.read).lines:
        found += page
        after += len(page)
    return found


def test_it_is_read_once_for_many_pages() -> None:
    log, pages = Log(AHEAD + 500), Pages()
    assert walked(pages, log) == LINES[: log.length]
    assert log.times == 3, "once, and at its end for what may have come since"
    log.length += 10
    assert walked(pages, log, log.length - 10) == LINES[log.length - 10 : log.length]
    assert pages.page("other", 0, 3, Log(1).read).lines == ("line 0",)
    assert pages.page("k4x", 5, 2, log.read).lines == ("line 5", "line 6")


def test_the_last_lines_say_how_many_come_before() -> None:
    found = last("k4x", 100, Log(250).read)
    assert (found.first, found.lines) == (150, tuple(LINES[150:250]))
    assert last("k4x", 100, Log(0).read).lines == ()
