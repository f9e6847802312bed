"""A picture of a command's words, painted over the one before: `hubtrain jobs --watch`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.terminal.output import Screen
from worker.clock import Clock


class Frame(Screen):
    """A screen as wide and as coloured as a console, whose words are kept in `text`."""

    def __init__(self, clock: Clock, console: Console) -> None:
        self._kept = io.StringIO()
        super().__init__(clock, out=self._kept)
        self._like = console

    @property
    def text(self) -> str:
        """All that was printed, with the escape sequences of its colours."""
        return self._kept.getvalue()

    @property
    def _plain(self) -> bool:
        return False

    @cached_property
    def _console(self) -> Console:
        return Console(
            file=self._kept,
            force_terminal=True,
            width=self._like.width,
            no_color=self._like.no_color,
            highlight=False,
            soft_wrap=True,
            emoji=False,
        )


@contextmanager
def repainted(screen: Screen) -> Iterator[Callable[[Callable[[Screen], None]], None]]:
    """Yield what paints over all that it painted before: it is given what prints on a screen.

    Where nothing has changed nothing is painted. What does not fit the height is cut, and the last
    picture stays whole.
    """
    last = ""
    with Live(console=screen.console, auto_refresh=False, vertical_overflow="ellipsis") as live:

        def paint(what: Callable[[Screen], None]) -> None:
            nonlocal last
            frame = Frame(screen.clock, screen.console)
            what(frame)
            if frame.text != last:
                last = frame.text
                live.update(Text.from_ansi(last.rstrip("\n")), refresh=True)

        yield paint
