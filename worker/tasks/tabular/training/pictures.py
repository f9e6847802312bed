"""Where a model for tables errs, as a picture for its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from worker.evaluation_plots import matrix, scatter
from worker.families.training.classes import draw_one
from worker.tasks.tabular.training.frames import Frame
from worker.tasks.tabular.training.scores import Judge, places, predicted


def draw(judge: Judge, model: Any, asked: Frame, folder: Path) -> None:
    """Draw what the model says of rows of which everything is told.

    Several targets of numbers are shown in standard deviations of each, as they have no unit in
    common; of several targets of classes, how often each was right.
    """
    told = asked.told
    if not judge.classes:
        units = judge.spread if len(told) > 1 else dict.fromkeys(told, 1.0)
        points = {}
        for name, said in predicted(model, asked):
            pairs = zip(told[name], said, strict=True)
            points[name] = [(float(true) / units[name], one / units[name]) for true, one in pairs]
        scatter(points, folder)
        return
    sure = dict(judge.sure(model, asked.rows))
    true = {name: places(told[name], judge.classes[name]) for name in sure}
    if len(sure) == 1:
        ((name, one),) = sure.items()
        draw_one(judge.classes[name], np.log(one), true[name], folder)
        return
    right = [int((one.argmax(axis=1) == true[name]).sum()) for name, one in sure.items()]
    counts = [[count, len(asked) - count] for count in right]
    matrix(counts, list(sure), ("right", "wrong"), folder)
