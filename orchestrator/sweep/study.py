"""Optuna's samplers, pruners and storage, as a `Search`.

A trial's number is the one that Optuna gives it, and what it knows lies in one SQLite file, which
its own tools open. A trial that was given out and never told is given out again with the settings
it had. Optuna is imported on use: a grid needs none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep.search import Search
from orchestrator.sweep.space import Choices, Numbers
from orchestrator.sweep.spec import SweepSpec
from worker.errors import BadConfig, HubtrainError
from worker.installing import install

DRAWN = 20
"""Trials where nobody says how many."""

ENOUGH = 10
"""Finished trials from which on the worth of settings is said."""


class Study(Search):
    """One study of Optuna's, in `file`; without one nothing outlives this process."""

    def __init__(self, spec: SweepSpec, file: Path | None) -> None:
        _need_optuna()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.spec, self.total = spec, spec.how.trials or DRAWN
        self._trials: dict[int, Any] = {}
        try:
            storage = f"sqlite:///{file.as_posix()}" if file else None
            self._study = optuna.create_study(
                storage=storage,
                study_name=spec.name,
                direction="maximize" if spec.measure.better == "higher" else "minimize",
                pruner=_pruner(spec.how),
                load_if_exists=True,
            )
        except optuna.exceptions.StorageInternalError as error:
            raise HubtrainError(f"cannot keep the sweep in {file}: {error}") from error

    def settings(self, number: int) -> Mapping[str, Any]:
        """Return what Optuna draws; a trial that was drawn before is as it was."""
        there = len(self._study.get_trials(deepcopy=False))
        for next_one in range(there, number + 1):
            # A seed of its own for each, so that what is drawn does not depend on who was killed.
            self._study.sampler = _sampler(self.spec.how, next_one)
            self._trials[next_one] = self._study.ask()
            self._drawn(next_one)
        return self._drawn(number)

    def report(self, number: int, step: int, value: float) -> bool:
        """Report to Optuna, once for each step, and ask its pruner."""
        kept = self._kept(number)
        if kept.state.is_finished():
            return self.pruned(number)
        if step not in kept.intermediate_values:
            self._trial(number).report(value, step)
        if not self._trial(number).should_prune():
            return False
        from optuna.trial import TrialState

        self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        return True

    def pruned(self, number: int) -> bool:
        """Whether the pruner has ended it."""
        return bool(self._kept(number).state.name == "PRUNED")

    def tell(self, number: int, value: float | None) -> None:
        """Tell Optuna, unless it knows."""
        from optuna.trial import TrialState

        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        self._study.tell(number, value, state=state, skip_if_finished=True)

    def worth(self) -> Mapping[str, float]:
        """Return what PED-ANOVA makes of it (arXiv 2304.10255), where there are trials enough."""
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        done = [t for t in self._study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
        if len(done) < ENOUGH or len(self.spec.space) < 2:  # noqa: PLR2004
            return {}
        with suppress(ValueError, RuntimeError):
            found: Mapping[str, float] = get_param_importances(
                self._study, evaluator=PedAnovaImportanceEvaluator()
            )
            return found
        return {}

    def _kept(self, number: int) -> Any:
        return self._study.get_trials(deepcopy=False)[number]

    def _trial(self, number: int) -> Any:
        """Return a trial that goes on, also one that another process has asked for."""
        from optuna.trial import Trial

        if number not in self._trials:
            self._study.sampler = _sampler(self.spec.how, number)
            self._trials[number] = Trial(self._study, self._kept(number)._trial_id)
        return self._trials[number]

    def _drawn(self, number: int) -> Mapping[str, Any]:
        kept = self._kept(number)
        if kept.state.is_finished() or len(kept.params) == len(self.spec.space):
            return dict(kept.params)
        trial = self._trial(number)
        return {one.setting: _draw(trial, one) for one in self.spec.space}


def _draw(trial: Any, one: Choices | Numbers) -> Any:
    if isinstance(one, Choices):
        return trial.suggest_categorical(one.setting, one.values)
    if one.whole:
        step = int(one.step) if one.step else 1
        return trial.suggest_int(one.setting, int(one.low), int(one.high), step=step, log=one.log)
    return trial.suggest_float(one.setting, one.low, one.high, step=one.step, log=one.log)


def _sampler(how: SweepSettings, number: int) -> Any:
    from optuna import samplers

    made: dict[str, Callable[[], Any]] = {
        "tpe": lambda: samplers.TPESampler(seed=how.sampler_seed + number),
        "random": lambda: samplers.RandomSampler(seed=how.sampler_seed + number),
        # One sequence for all: where it is, is known from the trials there are.
        "qmc": lambda: samplers.QMCSampler(
            scramble=True, seed=how.sampler_seed, warn_independent_sampling=False
        ),
    }
    return made[how.sampler or "tpe"]()


def _pruner(how: SweepSettings) -> Any:
    from optuna import pruners

    made: dict[str, Callable[[], Any]] = {
        "none": pruners.NopPruner,
        "median": pruners.MedianPruner,
        "asha": pruners.SuccessiveHalvingPruner,
        "hyperband": pruners.HyperbandPruner,
    }
    return made[how.pruner]()


def _need_optuna() -> None:
    if find_spec("optuna") is None:
        raise BadConfig(
            "Optuna chooses the settings of a sweep that is no grid, and is not installed here.",
            fix=f"{install(['sweep'])}, or lists alone and no --trials: a grid needs none",
        )
