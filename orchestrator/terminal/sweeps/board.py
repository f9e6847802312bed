"""The trials of a sweep as a table: live on a terminal, in a pipe a line for each thing new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.sweep.space import shown
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.trial import Trial, best_of, rank
from orchestrator.terminal.sweeps.plot import plot
from orchestrator.terminal.table import GAP, table
from orchestrator.words import count, money
from worker.clock import Clock
from worker.duration import roughly

NOTHING = "-"
SPARE = ("TIME", "COST")
"""The columns that a narrow terminal leaves out, in this order."""

_BELOW = 6
"""Lines of a screen that are no trials: header, summary and what stands around."""


class Board:
    """Shows the trials of a sweep while they go on."""

    def show(self, trials: Sequence[Trial]) -> None:
        """Show how they are now."""
        raise NotImplementedError

    def doing(self, what: str, done: float | None) -> None:
        """Show what is prepared: an `OnProgress`."""

    def close(self) -> None:
        """Stop showing."""


class LiveBoard(Board):
    """A table that is painted anew."""

    def __init__(
        self,
        spec: SweepSpec,
        total: int,
        console: Console,
        clock: Clock,
        clean: Callable[[str], str],
    ) -> None:
        self.spec, self.total, self.clock = spec, total, clock
        self._console, self._clean = console, clean
        self._trials: Sequence[Trial] = ()
        self._doing = ""
        self._live = Live(console=console, refresh_per_second=2, get_renderable=self._text)
        self._live.start()

    def show(self, trials: Sequence[Trial]) -> None:
        self._trials, self._doing = list(trials), ""

    def doing(self, what: str, done: float | None) -> None:
        self._doing = f" · {what}{'' if done is None else f' {done:.0%}'}"

    def close(self) -> None:
        self._live.transient = True  # the end shows all of them
        self._live.stop()

    def _text(self) -> Text:
        now = self.clock.now()
        room = max(3, self._console.height - _BELOW)
        chosen = _important(self._trials, self.spec, room)
        header = columns(self.spec)
        rows = [row(trial, self.spec, now) for trial in chosen]
        laid = table(header, rows, 2, self._console.width - 1, SPARE)
        lines = [GAP.join(cells).rstrip() for cells in laid]
        return Text("\n".join([*map(self._clean, lines), "", f"  {self._summary(now)}"]))

    def _summary(self, now: datetime) -> str:
        return summary(self._trials, self.spec, self.total, now) + self._doing


@dataclass
class Lines(Board):
    """A line when a trial begins, ends, or is told something of."""

    spec: SweepSpec
    total: int
    say: Callable[[str], None]
    clock: Clock
    _said: dict[int, str] = field(default_factory=dict)

    def show(self, trials: Sequence[Trial]) -> None:
        now = self.clock.now()
        for trial in trials:
            state = _stage(trial)
            if state and self._said.get(trial.number) != state:
                self._said[trial.number] = state
                self.say(self._line(trial, now))

    def _line(self, trial: Trial, now: datetime) -> str:
        cells = row(trial, self.spec, now)
        tried = ", ".join(f"{k} {shown(v)}" for k, v in trial.settings.items())
        parts = [f"{cells[0]} of {self.total}", tried, f"job {cells[1]}" if trial.record else ""]
        if trial.over:
            told = [f"{self.spec.measure.name} {cells[-4]}", cells[-3], cells[-2]]
            parts += [part for part in told if not part.endswith(NOTHING)]
        return " · ".join(filter(None, [*parts, cells[-1]]))


def columns(spec: SweepSpec) -> tuple[str, ...]:
    """Return the header."""
    tried = (one.setting.upper() for one in spec.space)
    return ("TRIAL", "JOB", *tried, spec.measure.name.upper(), "COST", "TIME", "STATE")


def row(trial: Trial, spec: SweepSpec, now: datetime) -> tuple[str, ...]:
    """Return a trial as the table shows it."""
    record = trial.record
    value = trial.value(spec.measure)
    seconds = record.story.seconds(now) if record else 0.0
    usd = trial.usd(now)
    return (
        f"t{trial.number}",
        record.job_id if record else NOTHING,
        *(shown(trial.settings[one.setting]) for one in spec.space),
        NOTHING if value is None else f"{value:.4f}",
        money(usd) if record and record.spec.machine.usd_per_hour else NOTHING,
        roughly(seconds) if seconds else NOTHING,
        state(trial),
    )


def state(trial: Trial) -> str:
    """Return how a trial is, in a few words."""
    if trial.twin is not None:
        return f"as t{trial.twin}, not done again"
    if trial.record is None:
        return f"refused: {trial.refused}" if trial.refused else "waiting"
    story = trial.record.story
    if story.state.final:
        why = "" if story.reason in {None, "ok", "user"} else f" ({story.reason})"
        return "pruned" if trial.pruned and not trial.succeeded else f"{story.state}{why}"
    if trial.pruned:
        return "being pruned"
    if story.progress and not story.phase:
        done = story.progress.step / max(1, story.progress.total_steps)
        return f"{story.state} {done:.0%}"
    return f"{story.state}{', ' if story.phase else ''}{story.phase}"


def summary(trials: Sequence[Trial], spec: SweepSpec, total: int, now: datetime) -> str:
    """Return a line: how many are done and were refused, which is the best, what it cost."""
    refused = sum(bool(trial.refused) for trial in trials)
    done = sum(trial.over for trial in trials) - refused
    parts = [f"{done} of {count(total, 'trial')} done"]
    if refused:
        parts.append(f"{refused} refused")
    if best := best_of(trials, spec.measure):
        parts.append(f"best t{best.number}, {spec.measure.name} {best.value(spec.measure):.4f}")
    spent = sum(trial.usd(now) for trial in trials)
    if spec.max_usd is not None:
        parts.append(f"{money(spent)} of {money(spec.max_usd)}")
    elif spent:
        parts.append(money(spent))
    return " · ".join(parts)


def ranked(trials: Sequence[Trial], spec: SweepSpec) -> list[Trial]:
    """Return the trials, the best first."""
    return sorted(trials, key=lambda trial: rank(trial, spec.measure))


def picture(trials: Sequence[Trial], spec: SweepSpec) -> list[str]:
    """Return what trials measured, as text; none of too few."""
    points = [(t.number, v) for t in trials if (v := t.value(spec.measure)) is not None]
    lines = plot(points, higher=spec.measure.better == "higher")
    return [f"{spec.measure.name}, ● a trial, · the best so far", *lines] if lines else []


def _important(trials: Sequence[Trial], spec: SweepSpec, room: int) -> list[Trial]:
    """Return so many trials, by number: those that run, then the best."""
    first = sorted(trials, key=lambda t: (t.over, *rank(t, spec.measure)))
    return sorted(first[:room], key=lambda t: t.number)


def _stage(trial: Trial) -> str:
    """Return what of a trial is worth a line; empty for nothing yet."""
    if trial.record is None:
        return state(trial) if trial.over else ""
    return state(trial) if trial.over or trial.pruned else str(trial.record.story.state)
