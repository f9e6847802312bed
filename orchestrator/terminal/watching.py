"""`hubtrain jobs --watch`: the list of jobs kept as it is now, until Ctrl-C.

On a terminal it is painted anew in its place; elsewhere each change is a line, or a document. No
provider is waited for: they are asked beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from orchestrator.jobs.glance import Glance
from orchestrator.polling import DEPLOYED, Poller
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.frame import repainted
from orchestrator.terminal.joblist import JobList, document, say
from orchestrator.terminal.listing import NOTHING, row
from orchestrator.terminal.output import Screen
from orchestrator.terminal.stages import QUIET_SECONDS
from worker.clock import Clock

LOOK_SECONDS = 1.0
"""Wait between two looks at the records of this machine."""


def watch(desk: Desk, listed: Callable[[Glance], bool], *, offline: bool) -> NoReturn:
    """Show the jobs that are to be `listed` until the user leaves; with `offline` ask nobody."""
    looks = _looks(desk, listed, offline=offline)
    if desk.screen.repaints:
        with repainted(desk.screen) as paint:
            for shown in looks:
                paint(partial(_picture, desk, shown=shown, offline=offline))
                desk.clock.sleep(LOOK_SECONDS)
    news = News(desk.screen, desk.clock)
    for shown in looks:
        news.tell(_entries(desk, shown))
        desk.clock.sleep(LOOK_SECONDS)
    raise AssertionError("there is always another look")


def _looks(desk: Desk, listed: Callable[[Glance], bool], *, offline: bool) -> Iterator[JobList]:
    poller = Poller(desk)
    while True:
        jobs = list(filter(listed, desk.glances()))
        if not offline:
            poller.look(jobs)
        why = poller.unanswered.get(DEPLOYED)
        yield JobList(
            poller.told(jobs),
            list(poller.deployed),
            unanswered=[why] if why else [],
            asked=poller.began,
        )


def _picture(desk: Desk, screen: Screen, shown: JobList, *, offline: bool) -> None:
    say(desk, screen, shown, offline=offline)
    screen.say("", "Ctrl-C ends this watch; jobs go on.")


@dataclass(frozen=True, slots=True)
class Entry:
    """A job or a deployment on the list."""

    name: str
    state: tuple[Any, ...]
    """What is told at once when it changes."""

    step: int | None
    over: bool
    """Whether nothing more will come of it: not told of at the beginning."""

    line: Callable[[], str]
    document: Callable[[], dict[str, Any]]


@dataclass
class News:
    """What has changed since the last look; at the first look, what goes on."""

    screen: Screen
    clock: Clock
    _before: dict[str, Entry] | None = None
    _said: dict[str, tuple[float, int | None]] = field(default_factory=dict)
    """When something was told last, and at which step, by name."""

    def tell(self, entries: Iterable[Entry]) -> None:
        """Print a line, or with `--json` a document, for each that is no more as it was."""
        now = {entry.name: entry for entry in entries}
        before, self._before = self._before, now
        if before is None and all(entry.over for entry in now.values()):
            self.screen.say(
                "Nothing goes on now; what changes is told here. Ctrl-C ends this watch."
            )
        for entry in now.values():
            if self._is_news(entry, before):
                self._said[entry.name] = (self.clock.monotonic(), entry.step)
                self.screen.say(entry.line())
                if self.screen.as_json:
                    self.screen.document(entry.document())
        for name in (before or {}).keys() - now.keys():
            self.screen.say(f"{name} · removed")
            self.screen.document({"job": name, "removed": True})

    def _is_news(self, entry: Entry, before: dict[str, Entry] | None) -> bool:
        if before is None:
            return not entry.over
        if entry.name not in before or before[entry.name].state != entry.state:
            return True
        when, step = self._said.get(entry.name, (0.0, entry.step))
        return entry.step != step and self.clock.monotonic() - when >= QUIET_SECONDS


def _entries(desk: Desk, shown: JobList) -> Iterator[Entry]:
    """Yield what is on the list, the oldest first."""
    for one in shown.deployed:
        handle, _, _, stage, price = one.row
        told = " · ".join((handle, stage, price))
        yield Entry(handle, (stage,), None, False, told.__str__, one.document.model_dump)
    for job in reversed(shown.jobs):
        state = (job.state, job.reason, job.cancelling, job.costing, job.unanswered)
        line, whole = partial(_line, desk, job), partial(document, desk, job)
        yield Entry(job.job_id, state, job.step, job.settled, line, whole)


def _line(desk: Desk, job: Glance) -> str:
    """Return a job as a line: `k4x7qp · bot · running 9 min · step 168/300 · 1.132 · $0.19`."""
    cells = row(job, desk.clock.now(), resumable=job.resumable)
    name, project, _, _, state, step, value, cost = cells
    told = [f"step {step}" if job.step is not None else NOTHING, value, cost]
    return " · ".join([name, project, state, *(one for one in told if one != NOTHING)])
