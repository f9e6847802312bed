"""What the check finds about numbers that are to be learned, whatever they are of. Light."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from worker.exchange import Measure
from worker.finding import Finding
from worker.shorten import some

MEASURES = (
    Measure("valid_loss"),
    Measure("valid_r2", "higher"),
    Measure("valid_mae"),
    Measure("loss"),
)
"""How far off a model is that tells numbers; the loss counts in the spread of what is learned."""

FEW_VALUES = 2
"""Different numbers up to which they may as well be classes."""


def summed_up(values: Sequence[float]) -> str:
    """Return how numbers are spread, in words."""
    middle, spread = statistics.fmean(values), statistics.pstdev(values)
    return f"{min(values):.4g} to {max(values):.4g}, mean {middle:.4g}, deviation {spread:.4g}"


def spread(
    values: Sequence[float], column: str, classes: Sequence[str], instead: str
) -> Iterable[Finding]:
    """Numbers that are all the same, and those that stand for classes.

    `classes` are those that the data declare, `instead` the command that would tell them apart.
    """
    different = len(set(values))
    if values and different == 1:
        text = f'all numbers in the column "{column}" are {values[0]:g}: there is nothing to learn'
        yield Finding("error", "data", text, fix="--target-column with the column of the numbers")
    elif classes:
        named = some((f"{name} {number}" for number, name in enumerate(classes)), 3)
        text = f'the column "{column}" declares classes ({named}), whose numbers are learned'
        yield Finding("warn", "data", text, fix=f"{instead} tells classes apart")
    elif different == FEW_VALUES < len(values):
        text = f'the column "{column}" has only two different numbers'
        yield Finding("warn", "data", text, fix=f"{instead}, if they stand for classes")
