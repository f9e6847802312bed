"""Which rows judge which settings, class by class. Standard library only.

scikit-learn has the same; this runs on laptops too, so that the check counts what training does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from worker.splits import by_class

FOLDS = 5
MANY_ROWS = 10_000
"""Rows of which a fifth judges as surely as all of them in turn would, at a fifth of the time."""


def strata(told: Sequence[Sequence[str | float]]) -> list[str]:
    """Return what each row is dealt by; `told` is what is learned, a column for each target.

    That is its class; of several classes the rarest, so that every rare one is dealt evenly. Rows
    of numbers are all alike.
    """
    labelled = [column for column in told if column and isinstance(column[0], str)]
    if len(labelled) == 1:
        return [str(label) for label in labelled[0]]
    counts = [Counter(column) for column in labelled]
    rows = zip(*labelled, strict=True) if labelled else ((),) * len(told[0])
    return [
        min(((counts[i][label], f"{i} {label}") for i, label in enumerate(row)), default=(0, ""))[1]
        for row in rows
    ]


def fold_count(rows: int) -> int:
    """Return how many of the folds judge, for so many rows to learn from."""
    return FOLDS if rows <= MANY_ROWS else 1


def folds(labels: Sequence[str], seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the places to learn from and to judge by, once for each fold that judges.

    Of each class every fold has its share; a class with one row is always learned and never judged,
    so that every model knows every class.
    """
    fold_of: dict[int, int] = {}
    dealt = 0
    for places in by_class(labels, seed):
        if len(places) > 1:
            fold_of.update({place: (dealt + i) % FOLDS for i, place in enumerate(places)})
            dealt += len(places)
    for fold in range(fold_count(len(labels))):
        judging = [i for i in range(len(labels)) if fold_of.get(i) == fold]
        if judging:
            yield [i for i in range(len(labels)) if fold_of.get(i) != fold], judging
