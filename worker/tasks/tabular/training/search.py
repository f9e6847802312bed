"""A search over settings: the usual ones first, then such as Optuna chooses, judged in folds.

Optuna's TPE (Bergstra et al. 2011) learns from the settings that were judged; it is seeded anew for
each, so that a search that was interrupted goes on as if it had not been. Settings that are worse
after some folds than half of the others were are given up (its median pruner).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState
from sklearn.base import clone

from worker.contract import Metric, Progress
from worker.engine.phases import phase
from worker.errors import BadData
from worker.task import Run
from worker.tasks.tabular.columns import Column
from worker.tasks.tabular.dealing import folds, strata
from worker.tasks.tabular.estimators import ESTIMATORS, Among, Real, Space, Whole
from worker.tasks.tabular.params import TabularParams
from worker.tasks.tabular.training.frames import Frame
from worker.tasks.tabular.training.pipeline import pipeline
from worker.tasks.tabular.training.scores import Judge

BY_CHANCE = 4
"""Settings that are drawn at random before TPE learns from them, and before any are given up."""

FRUITLESS = 50
"""Draws without anything new after which a space counts as tried out."""

Deals = Sequence[tuple[list[int], list[int]]]


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that were judged, as far as it went."""

    drawn: Mapping[str, Any]
    """Those that were chosen; empty for the usual ones."""

    means: tuple[float, ...] = ()
    """Mean loss after each fold."""

    whole: bool = False
    """Whether all folds judged them."""


@dataclass(frozen=True, slots=True)
class Best:
    """The settings that were judged best."""

    settings: Mapping[str, Any]
    loss: float
    """Mean loss over the folds, as `Judge` takes it."""

    trials: int
    """How many settings were judged."""


@dataclass
class Search:
    """One search; `clock` tells seconds."""

    params: TabularParams
    features: Sequence[Column]
    judge: Judge
    run: Run
    clock: Callable[[], float]
    trials: list[Trial] = field(default_factory=list)
    best: Best | None = None
    failed: str = ""
    """What was wrong with the last settings that could not be fitted."""

    def __post_init__(self) -> None:
        self.began, self.cells = self.clock(), 0
        self.space = ESTIMATORS[self.params.model].space(self.params.task)
        optuna.logging.set_verbosity(optuna.logging.ERROR)

    def over(self, learned: Frame) -> Best | None:
        """Return the best settings; none if it was asked to stop before any were judged.

        Raises `BadData` where none can be fitted.
        """
        self.cells = learned.rows.size
        dealt = strata(list(learned.told.values()))
        deals = list(folds(dealt, self.params.seed))
        total = self.params.num_trials
        while len(self.trials) < total and not self._ends():
            asked = self._asked()
            if asked is None:
                break
            with phase(self.run.emit, f"trial {len(self.trials) + 1} of {total}"):
                trial = self._judged(asked, learned, deals)
            if not trial.whole and self._over:
                break
            self._take(trial)
        if self.best is None and not self.run.stop.is_set():
            raise BadData(f"{self.params.model} cannot be fitted to these rows: {self.failed}")
        return self.best

    def keep(self, file: Path) -> None:
        """Write down how far the search is."""
        file.write_text(json.dumps([asdict(one) for one in self.trials]), encoding="utf-8")

    def go_on(self, file: Path) -> None:
        """Take up a search where it was interrupted."""
        for one in json.loads(file.read_text(encoding="utf-8")):
            self._note(Trial(one["drawn"], tuple(one["means"]), one["whole"]))

    def settings_of(self, trial: Trial) -> dict[str, Any]:
        """Return all settings of a trial: the usual ones, and those drawn in their place."""
        return {**ESTIMATORS[self.params.model].usual, **trial.drawn}

    def _asked(self) -> optuna.Trial | None:
        """Return the next settings to try: none of their own at first; None where all were."""
        study = self._study()
        if not self.trials:
            return study.ask()
        known = [trial.drawn for trial in self.trials]
        tries = range(FRUITLESS if self.space else 0)
        asked = (study.ask(_distributions(self.space)) for _ in tries)
        return next((one for one in asked if one.params not in known), None)

    def _study(self) -> optuna.Study:
        """Return what Optuna knows: the same for the same trials and the same seed."""
        seed = (self.params.seed + len(self.trials)) % 2**32
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=BY_CHANCE)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=BY_CHANCE)
        study = optuna.create_study(sampler=sampler, pruner=pruner)
        for trial in self.trials:
            study.add_trial(_frozen(trial, self.space))
        return study

    def _judged(self, asked: optuna.Trial, learned: Frame, deals: Deals) -> Trial:
        """Return the settings with their losses, as far as they were judged."""
        trial = Trial(asked.params)
        model = pipeline(self.settings_of(trial), self.features, len(learned.told), self.params)
        total = count = 0.0
        for number, (learning, judging) in enumerate(deals):
            if self._over:
                return trial
            try:
                fitted = learned.at(learning).fitted(clone(model))
                loss = self.judge.loss(fitted, learned.at(judging))
            except ValueError as error:
                self.failed = " ".join(str(error).split())[:300]
                shown = self.settings_of(trial)
                sys.stderr.write(f"These settings cannot be fitted: {shown}: {self.failed}\n")
                return replace(trial, means=())
            total, count = total + loss * len(judging), count + len(judging)
            trial = replace(trial, means=(*trial.means, total / count))
            asked.report(trial.means[-1], number)
            if number + 1 < len(deals) and asked.should_prune():
                return trial
        return replace(trial, means=trial.means or (0.0,), whole=True)

    def _take(self, trial: Trial) -> None:
        """Note what settings are worth, and tell how far the search is."""
        self._note(trial)
        number = len(self.trials)
        if trial.means and self.best is not None:
            values = {"loss": self.best.loss, "trial_loss": trial.means[-1]}
            self.run.emit(Metric(step=number, values=values))
        left = self._seconds_left(number)
        total, cells = self.params.num_trials, number * self.cells
        self.run.emit(
            Progress(step=number, total_steps=total, units=cells, unit="cells", eta_seconds=left)
        )

    def _note(self, trial: Trial) -> None:
        self.trials.append(trial)
        judged = sum(1 for one in self.trials if one.means)
        if trial.whole and (self.best is None or trial.means[-1] < self.best.loss):
            self.best = Best(self.settings_of(trial), trial.means[-1], judged)
        if self.best is not None:
            self.best = replace(self.best, trials=judged)

    @property
    def _over(self) -> bool:
        """Whether a trial is to be left where it is. The first is always judged to the end."""
        return self.run.stop.is_set() or (self.best is not None and self._late)

    @property
    def _late(self) -> bool:
        return self.clock() - self.began >= self.params.time_limit

    def _seconds_left(self, done: int) -> float:
        spent = self.clock() - self.began
        more = spent / done * max(0, self.params.num_trials - done)
        return max(0.0, min(more, self.params.time_limit - spent))

    def _ends(self) -> bool:
        """Whether no more settings are to be tried; says why."""
        if not self._over:
            return False
        limit = f"its time limit of {self.params.time_limit:g} s is over"
        why = "it was asked to stop" if self.run.stop.is_set() else limit
        left = self.params.num_trials - len(self.trials)
        sys.stderr.write(f"The search ends with {left} settings not judged: {why}.\n")
        return True


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return dict(_each_distribution(space))


def _each_distribution(space: Space) -> Iterator[tuple[str, BaseDistribution]]:
    for name, values in space.items():
        match values:
            case Among():
                yield name, CategoricalDistribution(values.values)
            case Real():
                yield name, FloatDistribution(values.low, values.high, log=values.log)
            case Whole():
                yield name, IntDistribution(values.low, values.high, log=values.log)


def _frozen(trial: Trial, space: Space) -> optuna.trial.FrozenTrial:
    """Return a trial as Optuna takes it: judged, given up after some folds, or failed."""
    chosen = _distributions({name: space[name] for name in trial.drawn})
    reached = dict(enumerate(trial.means))
    pruned = TrialState.PRUNED if trial.means else TrialState.FAIL
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if trial.whole else pruned,
        value=trial.means[-1] if trial.whole else None,
        params=dict(trial.drawn),
        distributions=chosen,
        intermediate_values=reached,
    )
