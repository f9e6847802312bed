"""Where a classifier errs, as pictures for its card, whatever it tells the classes of.

Logits are (examples, classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worker import evaluation_plots
from worker.families.training.measures import (
    BINARY,
    Numbers,
    average_precision,
    precision_recall,
)
from worker.shorten import shortened


def draw_one(names: Sequence[str], logits: Numbers, labels: Numbers, folder: Path) -> None:
    """Draw which class is taken for which, `labels` being numbers of classes.

    Of two classes also how often the second is right where it is said, as its measures are.
    """
    said, true = ([names[number] for number in some] for some in (logits.argmax(axis=1), labels))
    evaluation_plots.confusion(said, true, folder)
    if len(names) == BINARY:
        _curves({names[1]: (logits[:, 1] - logits[:, 0], labels == 1)}, folder)


def draw_several(names: Sequence[str], logits: Numbers, labels: Numbers, folder: Path) -> None:
    """Draw how many examples of each class were found, missed, and said to be of it and are not.

    `labels` are (examples, classes), above 0 where an example is of a class.
    """
    said, true = logits > 0, labels > 0
    common = np.argsort(-true.sum(axis=0), kind="stable")[: evaluation_plots.MOST]
    counts = [(said & true), (~said & true), (said & ~true)]
    rows = [[int(count[:, one].sum()) for count in counts] for one in common]
    columns = ("found", "missed", "wrongly said")
    evaluation_plots.matrix(rows, [names[one] for one in common], columns, folder)
    _curves({names[one]: (logits[:, one], true[:, one]) for one in common}, folder)


def _curves(found: dict[str, tuple[Numbers, Numbers]], folder: Path) -> None:
    """Draw precision over recall by class, given scores of examples and whether they are of it."""
    lines = {}
    for name, (scores, labels) in found.items():
        curve = precision_recall(scores, labels)
        lines[f"{shortened(name, evaluation_plots.LETTERS)} {average_precision(curve):.3g}"] = curve
    evaluation_plots.curves(lines, folder)
