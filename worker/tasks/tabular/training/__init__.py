"""Training on tables: a search over settings, the best fitted to all rows, and what it is worth.

Settings are chosen by cross-validation among the rows that are learned from; the rows held out
judge the chosen model once, so what they say is not flattered by the choice. Where more rows are
there than `MANY_ROWS`, a fifth of them stands for the folds.
"""

from __future__ import annotations

import sys
import time

from worker.contract import SAVED, Checkpoint, Metric, Phase
from worker.engine.phases import phase
from worker.reading import load
from worker.task import Run
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.params import SEARCH_FILE, TabularParams
from worker.tasks.tabular.table import Table, read
from worker.tasks.tabular.training.pipeline import pipeline
from worker.tasks.tabular.training.saved import frame, save
from worker.tasks.tabular.training.scores import scores
from worker.tasks.tabular.training.search import Best, Search


def train(params: TabularParams, run: Run) -> None:
    """Train on `run.data` and leave the model in `run.output`.

    Once `run.stop` is set no further settings are tried: the best so far become a checkpoint, which
    is a model that can be asked, and none is left in `run.output`. Raises `BadData`, `BadConfig`.
    """
    with phase(run.emit, "reading data"):
        table = read(load(run.data), params)
        cells, labels = table.learned()
        rows = frame(table.features, cells)
    search = Search(params, table.features, run, clock=time.monotonic)
    if run.last_checkpoint is not None:
        search.go_on(run.last_checkpoint / SEARCH_FILE)
    best = search.over(rows, labels)
    if best is None:
        return
    with phase(run.emit, "fitting the best settings to all rows"):
        model = pipeline(ESTIMATORS[params.model], best.settings, table.features, params)
        model.fit(rows, labels)
    _judge(model, table, best, run)
    if run.stop.is_set():
        _keep(model, table, params, search, run)
        return
    with phase(run.emit, "saving"):
        save(model, table, params, best, run.output)
    run.emit(Phase(name=SAVED))


def _keep(model: object, table: Table, params: TabularParams, search: Search, run: Run) -> None:
    """Leave what a search that was stopped has come to, and where it was."""
    assert search.best is not None
    folder = run.work / "checkpoints" / f"checkpoint-{search.tried}"
    folder.mkdir(parents=True, exist_ok=True)
    save(model, table, params, search.best, folder)
    search.keep(folder / SEARCH_FILE)
    run.emit(Checkpoint(step=search.tried, where=str(folder)))


def _judge(model: object, table: Table, best: Best, run: Run) -> None:
    """Tell what the held out rows make of the model."""
    cells, labels = table.judging()
    if not labels:
        sys.stderr.write("No row is left to judge by: each class has only one.\n")
        return
    found = scores(model, frame(table.features, cells), labels)
    run.emit(Metric(step=best.trials, values={f"valid_{name}": v for name, v in found.items()}))
