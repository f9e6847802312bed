"""Training on tables: a search over settings, the best fitted to all rows, and what it is worth.

Settings are chosen by cross-validation among the rows that are learned from; the rows held out
judge the chosen model once, so what they say is not flattered by the choice. Where more rows are
there than `MANY_ROWS`, a fifth of them stands for the folds.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from threadpoolctl import threadpool_limits

from worker.contract import SAVED, VALID, Checkpoint, Metric, Phase
from worker.engine.phases import phase
from worker.reading import load
from worker.task import Run
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.params import SEARCH_FILE, TabularParams
from worker.tasks.tabular.table import Table, read
from worker.tasks.tabular.training.frames import Frame
from worker.tasks.tabular.training.pictures import draw
from worker.tasks.tabular.training.pipeline import pipeline
from worker.tasks.tabular.training.saved import save
from worker.tasks.tabular.training.scores import Judge
from worker.tasks.tabular.training.search import Search

FEW_CELLS = 100_000
"""Cells up to which one thread is sooner done than several, which mostly wait for one another."""


def train(params: TabularParams, run: Run) -> None:
    """Train on `run.data` and leave the model in `run.output`.

    Once `run.stop` is set no further settings are tried: the best so far become a checkpoint, which
    is a model that can be asked, and none is left in `run.output`. Raises `BadData`, `BadConfig`.
    """
    with phase(run.emit, "reading data"):
        table = read(load(run.data), params)
        learned = Frame.of(table.features, table.learned())
        asked = Frame.of(table.features, table.judging())
    with _threads(params, learned.rows.size):
        _train(params, run, table, learned, asked)


def _train(params: TabularParams, run: Run, table: Table, learned: Frame, asked: Frame) -> None:
    """Search, fit, judge, and leave the model, or what there is of it."""
    judge = Judge.of(table, learned)
    search = Search(params, table.features, judge, run, clock=time.monotonic)
    if run.last_checkpoint is not None:
        search.go_on(run.last_checkpoint / SEARCH_FILE)
    best = search.over(learned)
    if best is None:
        return
    with phase(run.emit, "fitting the best settings to all rows"):
        model = pipeline(best.settings, table.features, len(table.targets), params)
        learned.fitted(model)
    if len(asked):
        found = {VALID + name: value for name, value in judge.scores(model, asked).items()}
        run.emit(Metric(step=best.trials, values=found))
    else:
        sys.stderr.write("No row is left to judge by: each class has only one.\n")
    if run.stop.is_set():
        _keep(model, table, params, search, run)
        return
    with phase(run.emit, "saving"):
        save(model, table, params, best, run.output)
        if len(asked):
            draw(judge, model, asked, run.output)
    run.emit(Phase(name=SAVED))


def _threads(params: TabularParams, cells: int) -> AbstractContextManager[Any]:
    """Compute small tables with one thread. Those of a library are known once it is there."""
    import_module(ESTIMATORS[params.model].built(params.task).rpartition(".")[0])
    limits: AbstractContextManager[Any] = threadpool_limits(1 if cells <= FEW_CELLS else None)
    return limits


def _keep(model: object, table: Table, params: TabularParams, search: Search, run: Run) -> None:
    """Leave what a search that was stopped has come to, and where it was."""
    assert search.best is not None
    tried = len(search.trials)
    folder = run.work / "checkpoints" / f"checkpoint-{tried}"
    folder.mkdir(parents=True, exist_ok=True)
    save(model, table, params, search.best, folder)
    search.keep(folder / SEARCH_FILE)
    run.emit(Checkpoint(step=tried, where=str(folder)))
