"""A search over settings: the usual ones first, then others drawn at random, judged in folds.

Random search needs no library and is as good as any for a handful of trials (Bergstra and Bengio
2012); the seed decides what is drawn, so that a search can be done again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sklearn.base import clone

from worker.contract import Metric, Progress
from worker.engine.phases import phase
from worker.errors import BadData
from worker.task import Run
from worker.tasks.tabular.columns import Column
from worker.tasks.tabular.dealing import folds
from worker.tasks.tabular.estimators import ESTIMATORS, candidates
from worker.tasks.tabular.params import TabularParams
from worker.tasks.tabular.training.pipeline import pipeline
from worker.tasks.tabular.training.scores import log_loss


@dataclass(frozen=True, slots=True)
class Best:
    """The settings that were judged best."""

    settings: Mapping[str, Any]
    loss: float
    """Mean log loss over the folds."""

    trials: int
    """How many settings were judged."""


class Search:
    """One search; `clock` tells seconds."""

    def __init__(
        self,
        params: TabularParams,
        features: Sequence[Column],
        run: Run,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.params, self.features, self.run, self.clock = params, features, run, clock
        self.estimator = ESTIMATORS[params.model]
        self.began = clock()
        self.best: Best | None = None
        self.judged = self.tried = 0
        self.failed = ""
        """What was wrong with the last settings that could not be fitted."""

    def over(self, rows: Any, labels: Sequence[str]) -> Best | None:
        """Return the best settings; none if it was asked to stop before any were judged.

        Raises `BadData` where none can be fitted.
        """
        deals = list(folds(labels, self.params.seed))
        trials = self.params.num_trials
        for number, settings in enumerate(candidates(self.estimator, trials, self.params.seed), 1):
            if number <= self.tried:  # before the search was interrupted
                continue
            with phase(self.run.emit, f"trial {number} of {trials}"):
                loss = self._judged(settings, rows, labels, deals)
            self.tried += not (loss is None and self.run.stop.is_set())
            if loss is not None:
                self._take(settings, loss, number)
            if number < trials and self._ends():
                break
        if self.best is None and not self.run.stop.is_set():
            raise BadData(f"{self.params.model} cannot be fitted to these rows: {self.failed}")
        return self.best

    def keep(self, file: Path) -> None:
        """Write down how far the search is."""
        found = {"tried": self.tried, "best": asdict(self.best) if self.best else None}
        file.write_text(json.dumps(found, default=float), encoding="utf-8")  # float: of numpy's

    def go_on(self, file: Path) -> None:
        """Take up a search where it was interrupted."""
        found = json.loads(file.read_text())
        self.tried = found["tried"]
        self.best = Best(**found["best"]) if found["best"] else None
        self.judged = self.best.trials if self.best else 0

    def _judged(
        self,
        settings: Mapping[str, Any],
        rows: Any,
        labels: Sequence[str],
        deals: Sequence[tuple[list[int], list[int]]],
    ) -> float | None:
        """Return the mean loss over the folds; none if it had to end, or cannot be fitted."""
        model = pipeline(self.estimator, settings, self.features, self.params)
        total = count = 0.0
        for learning, judging in deals:
            if self.run.stop.is_set() or (self.best is not None and self._late):
                return None
            try:
                fitted = clone(model).fit(rows.iloc[learning], [labels[i] for i in learning])
                told = fitted.predict_proba(rows.iloc[judging])
                loss = log_loss(told, list(fitted.classes_), [labels[i] for i in judging])
            except ValueError as error:
                self.failed = " ".join(str(error).split())[:300]
                sys.stderr.write(f"These settings cannot be fitted: {settings}: {self.failed}\n")
                return None
            total, count = total + loss * len(judging), count + len(judging)
        return total / count if count else 0.0

    def _take(self, settings: Mapping[str, Any], loss: float, number: int) -> None:
        """Note what settings are worth, and tell how far the search is."""
        self.judged += 1
        if self.best is None or loss < self.best.loss:
            self.best = Best(settings, loss, self.judged)
        self.best = replace(self.best, trials=self.judged)
        self.run.emit(Metric(step=number, values={"loss": self.best.loss, "trial_loss": loss}))
        self.run.emit(
            Progress(
                step=number,
                total_steps=self.params.num_trials,
                eta_seconds=self._seconds_left(number),
            )
        )

    @property
    def _late(self) -> bool:
        return self.clock() - self.began >= self.params.time_limit

    def _seconds_left(self, done: int) -> float:
        spent = self.clock() - self.began
        more = spent / done * max(0, self.params.num_trials - done)
        return max(0.0, min(more, self.params.time_limit - spent))

    def _ends(self) -> bool:
        """Whether no more settings are to be tried; says why."""
        if self.run.stop.is_set():
            why = "it was asked to stop"
        elif self.best is not None and self._late:
            why = f"its time limit of {self.params.time_limit:g} s is over"
        else:
            return False
        left = self.params.num_trials - self.judged
        sys.stderr.write(f"The search ends with {left} settings not judged: {why}.\n")
        return True
