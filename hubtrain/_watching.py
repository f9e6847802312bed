"""What `Job.watch` shows of a job: a picture in the cell of a notebook, elsewhere lines of text.

It knows the record of a job, and not how one is followed. What is in the picture, and that it is
harmless, is the matter of `worker.show`.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from html import escape
from typing import Any

from orchestrator.jobs.records import Record
from orchestrator.jobs.view import view_of
from orchestrator.visible import visible
from worker.show.cell import cell
from worker.show.view import View, in_words


class Shown(ABC):
    """Where a job is shown."""

    every: timedelta
    """Least time between two looks at a job that only makes its steps."""

    @abstractmethod
    def show(self, view: View, said: str = "") -> None:
        """Show the job as it is now, with what is `said` to it."""


class Cell(Shown):
    """A notebook's cell, whose output is replaced."""

    every = timedelta(seconds=1)

    def __init__(self) -> None:
        self._output: Any = None

    def show(self, view: View, said: str = "") -> None:
        """Draw the job in the place where it was drawn before."""
        from IPython.display import display

        more = f'<p role="status">{escape(said)}</p>' if said else ""
        output = {"text/html": cell(view, more), "text/plain": _text(view, said)}
        if self._output is None:
            drawn = display(output, raw=True, display_id=True)  # type: ignore[no-untyped-call]
            self._output = drawn
        else:
            self._output.update(output, raw=True)


class Lines(Shown):
    """A terminal, or a file that takes what is printed."""

    every = timedelta(seconds=10)

    def __init__(self) -> None:
        self._last = ""

    def show(self, view: View, said: str = "") -> None:
        """Print how the job is now, if that is not what was printed last."""
        text = _text(view, said)
        if text != self._last:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        self._last = text


def _text(view: View, said: str) -> str:
    """Return the job in words, without anything that would act on a terminal."""
    return visible("\n".join([*in_words(view), *([said] if said else [])]))


def in_notebook() -> bool:
    """Whether a kernel runs this, so that what is shown is HTML: Jupyter, Colab, VS Code."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class Showing:
    """One job being shown: at once where it is another one than it was, its steps now and then."""

    def __init__(self, record: Callable[[], Record], now: Callable[[], datetime]) -> None:
        self._record, self._now = record, now
        self._place: Shown = Cell() if in_notebook() else Lines()
        self._drawn: datetime | None = None
        self._words: tuple[object, ...] = ()
        self._said = ""

    def say(self, said: str) -> None:
        """Show the job with a sentence about it, which stays until there is another one."""
        self._said = said
        self.draw(at_once=True)

    def draw(self, said: str = "", *, at_once: bool = False) -> None:
        """Show the job, unless it is much as it was."""
        record, now = self._record(), self._now()
        story = record.story
        words = (story.state, story.phase, story.message, story.output, story.pushed)
        due = self._drawn is None or now - self._drawn >= self._place.every
        if at_once or due or words != self._words:
            self._place.show(view_of(record, now), said or self._said)
            self._drawn, self._words = now, words
