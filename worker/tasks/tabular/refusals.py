"""What makes a table one that nothing can be learned from, in the user's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from worker.errors import BadData
from worker.shorten import some
from worker.splits import in_order
from worker.tasks.tabular.columns import number
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.params import TabularParams

LEAST_ROWS = 10
"""Rows below which nothing is learned, let alone judged."""

LEAST_TO_CALIBRATE = 4
"""Rows of each class that a model needs which is given its probabilities from the rows: one may be
held out and one in a fold, and of what is left there are two halves."""

MOST_CLASSES = 1000
FEW_CLASSES = 8
"""Classes up to which numbers are taken for names."""


def refuse_told(
    told: Sequence[str | float], target: str, source: str, params: TabularParams, *, whole: bool
) -> None:
    """Raise `BadData` where there is nothing to learn; `whole` if these are all rows there are."""
    if not told:
        raise BadData(f'"{target}" of {source} is empty in every row.')
    if not whole:
        return
    if len(told) < LEAST_ROWS:
        rows = "1 row" if len(told) == 1 else f"{len(told)} rows"
        what = "a number" if params.numbers else "a class"
        raise BadData(
            f"{source} has {rows} with {what}: too few to learn from and to judge by. "
            f"At least {LEAST_ROWS} are needed."
        )
    if len(set(told)) == 1:
        said = f"{told[0]:g}" if isinstance(told[0], float) else told[0]
        raise BadData(
            f'"{target}" of {source} says {said} in every row: there is nothing to tell apart.'
        )
    labels = [label for label in told if isinstance(label, str)]
    if labels:
        _refuse_quantity(Counter(labels), target, source)
        _refuse_uncalibrated(labels, params)


def _refuse_quantity(counts: Mapping[str, int], target: str, source: str) -> None:
    values = [number(label) for label in counts]
    rare = len(counts) * 2 > sum(counts.values())
    broken = any(value is not None and not value.is_integer() for value in values)
    if all(v is not None for v in values) and len(counts) > FEW_CLASSES and (broken or rare):
        raise BadData(
            f'"{target}" of {source} holds {len(counts):,} different numbers, which is a quantity '
            "and no class.",
            fix="--task regression predicts it; or make classes of it, such as low and high",
        )
    if len(counts) > MOST_CLASSES or rare:
        raise BadData(
            f'"{target}" of {source} holds {len(counts):,} different classes in '
            f"{sum(counts.values()):,} rows: there is too little of each to learn.",
            fix="Name another --target-columns, or make fewer classes of it.",
        )


def refuse_no_numbers(odd: Mapping[int, str], target: str, source: str) -> None:
    """Raise `BadData` where what is to be predicted is no number; `odd` are such cells by line."""
    if odd:
        cells = "1 cell that is no number" if len(odd) == 1 else f"{len(odd):,} cells that are none"
        shown = some(f'line {line} "{cell}"' for line, cell in odd.items())
        raise BadData(
            f'"{target}" of {source} is to be a number and has {cells}: {shown}.',
            fix="Mend them, or --task classification tells classes.",
        )


def refuse_unknown(
    valid: Sequence[str | float],
    train: Sequence[str | float],
    target: str,
    source: str,
    *,
    whole: bool,
) -> None:
    """Raise `BadData` for a validation split that asks what the training split cannot teach."""
    if not valid:
        raise BadData(f'"{target}" of {source} is empty in every row.')
    unknown = in_order(str(label) for label in set(valid) - set(train) if isinstance(label, str))
    if unknown and whole:
        what = "a class" if len(unknown) == 1 else "classes"
        raise BadData(
            f'"{target}" of {source} has {what} that no training row has: {some(unknown)}. '
            "A model never says what it has not seen.",
            fix="Add such rows to the training split, or take them out of the other.",
        )


def _refuse_uncalibrated(labels: Sequence[str], params: TabularParams) -> None:
    """Raise `BadData` where a class has too few rows for the probabilities of this model."""
    counts = Counter(labels)
    few = [label for label in in_order(counts) if counts[label] < LEAST_TO_CALIBRATE]
    if few and ESTIMATORS[params.model].calibrated:
        raise BadData(
            f"{params.model} needs {LEAST_TO_CALIBRATE} rows of each class for its probabilities, "
            f"and there are fewer of {some(few)}.",
            fix="--model logistic_regression needs no more than one",
        )
