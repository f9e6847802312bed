"""How much longer or shorter jobs take than was expected: learnt from this laptop's own runs.

An estimate is arithmetic over tables; what a user's models and data really take on a machine is
known from the runs before. The median of the last few is heeded, so that one odd run changes
little. Knows no task and no backend, only their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

LAST = 5
"""How many runs are heeded, the last ones."""

AS_LARGE = 2.0
"""How many times larger or smaller a model may be for its run to tell something."""

AS_LONG = 8.0
"""The same of the time that was expected: a run that mostly started up tells little of a long one.
"""

MOST = 5.0
"""Largest correction, either way."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job that has succeeded: what was expected, uncorrected, and what it took."""

    task: str
    """With its trainer, where it has several: `llm sft`."""

    backend: str
    flavor: str | None
    parameters: float
    expected_minutes: float
    minutes: float


@dataclass(frozen=True, slots=True)
class Pace:
    """By how much an estimate is corrected, and by how many runs."""

    factor: float = 1.0
    runs: int = 0

    @property
    def words(self) -> str:
        """Return what people are told of it; empty where nothing was corrected."""
        if not self.runs:
            return ""
        of = "your last run" if self.runs == 1 else f"your last {self.runs} runs"
        return f"corrected by {of} like it ({self.factor:.2g} of what was expected)"


NO_PACE = Pace()


@dataclass(frozen=True, slots=True)
class History:
    """The runs of this laptop, newest first, asked about one kind of job."""

    runs: tuple[Run, ...] = ()

    def of(self, task: str, backend: str, parameters: float) -> History:
        """Return the runs of such jobs, on any of that backend's machines."""
        return History(
            tuple(
                run
                for run in self.runs
                if (run.task, run.backend) == (task, backend)
                and _alike(run.parameters, parameters, AS_LARGE)
            )
        )

    def pace(self, flavor: str | None, minutes: float) -> Pace:
        """Return how to correct so many expected minutes on a machine."""
        alike = [
            run.minutes / run.expected_minutes
            for run in self.runs
            if run.flavor == flavor and _alike(run.expected_minutes, minutes, AS_LONG)
        ]
        return _pace(alike[:LAST])


def history(runs: Iterable[Run]) -> History:
    """Return the runs that can tell something."""
    return History(tuple(run for run in runs if run.expected_minutes > 0 and run.minutes > 0))


def _alike(one: float, other: float, times: float) -> bool:
    return one == other or (one > 0 and other > 0 and 1 / times <= one / other <= times)


def _pace(ratios: Sequence[float]) -> Pace:
    if not ratios:
        return Pace()
    return Pace(min(MOST, max(1 / MOST, median(ratios))), len(ratios))
