"""Long work shown as it goes on: bars on a terminal, lines in a pipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

import backends
from orchestrator.jobs.records import Record
from orchestrator.jobs.watched import watched
from orchestrator.words import money
from worker.clock import Clock
from worker.duration import roughly

QUIET_SECONDS = 15.0
"""Longest silence in a pipe while something goes on."""


class Stages:
    """Long work in named stages, one after the other. It is called as an `OnProgress`."""

    clock: Clock

    def __call__(self, what: str, done: float | None) -> None:
        """Say what is going on and the share done, 0 to 1, or none if nobody knows."""
        self.show(what, done, "")

    def show(self, what: str, done: float | None, note: str) -> None:
        """Say it with a note: what else there is to know."""
        raise NotImplementedError

    def training(self, record: Record) -> None:
        """Show how far a job is."""
        now, story = self.clock.now(), record.story
        if story.progress is None or story.phase:
            self.show(_where(record), None, story.phase or _machine(record))
            return
        done = story.progress.step / max(1, story.progress.total_steps)
        self.show("Training", done, training_note(record, now))

    def close(self) -> None:
        """Stop showing; what was shown last stays."""


class Bars(Stages):
    """Progress bars of a terminal."""

    def __init__(self, console: Console, clock: Clock, clean: Callable[[str], str]) -> None:
        self.clock = clock
        self._clean = clean
        self._progress = Progress(
            TextColumn("  {task.description:<12}"),
            BarColumn(20),
            TaskProgressColumn(show_speed=False),
            TextColumn("{task.fields[note]}"),
            console=console,
            refresh_per_second=4,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, what: str, done: float | None, note: str) -> None:
        name = escape(self._clean(_titled(what)))
        if name not in self._tasks:
            self._finish()
            self._tasks[name] = self._progress.add_task(name, total=None, note="")
        total = None if done is None else 1.0
        self._progress.update(
            self._tasks[name], total=total, completed=done or 0.0, note=escape(self._clean(note))
        )

    def _finish(self) -> None:
        for task in self._progress.tasks:
            if not task.finished:
                self._progress.update(task.id, total=1.0, completed=1.0)

    def close(self) -> None:
        self._progress.stop()


@dataclass
class Lines(Stages):
    """The same for a pipe: a line when something begins or ends, and now and then within.

    How far a stage came is told before the next one begins.
    """

    say: Callable[[str], None]
    clock: Clock
    _seen: tuple[str, str] = ("", "")
    _said: float = field(default=float("-inf"))
    _over: bool = False
    _held: str = ""
    """The newest line of this stage, if it was not said."""

    def show(self, what: str, done: float | None, note: str) -> None:
        now = self.clock.monotonic()
        over = done == 1.0
        what_is_new = (what, note if done is None else "")
        news = what_is_new != self._seen or (over and not self._over)
        share = "" if done is None else f"{done:4.0%}  "
        line = f"{_titled(what):<12} {share}{note}".rstrip()
        if what_is_new != self._seen:
            self.close()
        if news or (now - self._said > QUIET_SECONDS and not over):
            self.say(line)
            self._seen, self._said, self._over, self._held = what_is_new, now, over, ""
        elif done is not None and not over:
            self._held = line

    def close(self) -> None:
        """Say how far the stage came."""
        if self._held:
            self.say(self._held)
            self._held = ""


def training_note(record: Record, now: datetime) -> str:
    """Return the line beside the bar: `step 168/300 · loss 1.132 · 2,410 tok/s · 9 min left`."""
    story, progress = record.story, record.story.progress
    if progress is None:
        return ""
    parts = [f"step {progress.step}/{progress.total_steps}"]
    if told := watched(record):
        parts.append("{} {:.3f}".format(*told))
    if progress.speed:
        parts.append(progress.speed.replace("tokens", "tok"))
    if progress.eta_seconds:
        parts.append(f"{roughly(progress.eta_seconds)} left")
    if price := record.spec.machine.usd_per_hour:
        parts.append(money(story.cost(price, now)))
    return " · ".join(parts)


def _titled(what: str) -> str:
    return what.capitalize() if what.islower() else what


def _where(record: Record) -> str:
    return backends.load(record.spec.machine.backend).noun


def _machine(record: Record) -> str:
    story = record.story
    stage = story.machine.stage.lower().replace("_", " ") if story.machine else story.state
    return f"{story.handle or record.job_id} · {stage}"
