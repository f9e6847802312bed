"""What a reference model makes of the pairs, asked once, before anything is trained.

The reference is the model as training begins, an adapter included, for a fresh one changes
nothing; or another model, which is gone before the one to train is loaded. So there is never a
second model beside the optimizer, and every epoch but the first is cheaper by a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.engine import devices
from worker.engine.model import Loaded
from worker.task import Run
from worker.tasks.llm.pairs.training.batches import CollatePairs, PairRows, Reference
from worker.tasks.llm.pairs.training.scores import score
from worker.tasks.llm.training.batches import evaluating


def ask(
    loaded: Loaded, sets: Sequence[PairRows], collate: CollatePairs, batch: int, run: Run
) -> bool:
    """Note the reference in all pairs of `sets`; whether it was asked of all.

    It was not where `run.stop` was set. `batch` is how many pairs are looked at at a time.
    """
    with evaluating(loaded.model), loaded.precision.mixed():
        return all(_ask(loaded.model, rows, collate, batch, run) for rows in sets)


def _ask(model: Any, rows: PairRows, collate: CollatePairs, batch: int, run: Run) -> bool:
    found: list[Reference] = [(0.0, 0.0)] * len(rows)
    alike = sorted(range(len(rows)), key=lambda i: -len(rows.pairs[i]))
    for start in range(0, len(alike), batch):
        if run.stop.is_set():
            return False
        places = alike[start : start + batch]
        made = collate([rows[i] for i in places])
        scores = score(model, {name: one.to(devices.device()) for name, one in made.items()})
        both = zip(scores.chosen.tolist(), scores.rejected.tolist(), strict=True)
        for place, told in zip(places, both, strict=True):
            found[place] = told
    rows.references = found
    return True
