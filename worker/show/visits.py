"""Which pages are open, and what each of them shows now. Used from several threads."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

OPEN_SECONDS = 8.0
"""A page that has not polled for so many seconds is taken to be closed."""


@dataclass(slots=True)
class Visit:
    """One open page: what it shows now, and when it last polled."""

    seen: float
    drawn: dict[str, int] = field(default_factory=dict)
    turn: int = 0
    """Number of the last answer that changed something."""

    def draws(self, part: str, value: object) -> bool:
        """Whether a part of the page has to be drawn anew to show this; then it is taken as drawn.

        What has not changed is not sent again: so the reader's place and selection stay.
        """
        print_of = hash(value)
        if self.drawn.get(part) == print_of:
            return False
        self.drawn[part] = print_of
        self.turn += 1
        return True


class Visits:
    """The pages that are open. Used from gradio's threads and the supervisor's."""

    def __init__(self) -> None:
        self._open: dict[str, Visit] = {}

    def look(self, session: str, turn: str) -> Visit:
        """Note that a page polls, and return what it shows.

        `turn` is the number of the last answer that has reached it: where later ones were lost,
        nothing of what they drew is taken as drawn.
        """
        now = time.monotonic()
        self._open = {s: v for s, v in self._open.items() if now - v.seen < OPEN_SECONDS}
        visit = self._open.setdefault(session, Visit(now))
        visit.seen = now
        if turn != str(visit.turn):
            visit.drawn.clear()
        return visit

    def leave(self, session: str | None) -> None:
        """Note that a page shows the end and will not poll again."""
        self._open.pop(session or "", None)

    @property
    def open(self) -> bool:
        """Whether any open page does not show the end yet."""
        now = time.monotonic()
        return any(now - v.seen < OPEN_SECONDS for v in list(self._open.values()))
