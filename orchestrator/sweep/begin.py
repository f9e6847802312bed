"""From the words of a user to a sweep that may begin: validated, judged, and its money told.

Nothing is rented here, and nothing is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator import flow
from orchestrator.flow import Checked, Refused
from orchestrator.jobs.client import Client
from orchestrator.preflight import CheckReport
from orchestrator.preflight.estimate import Range
from orchestrator.settings.layers import FLAGS, Catalog, Layer, Settings, from_environment, merge
from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep.chosen import is_grid, search_of
from orchestrator.sweep.run import asked_for
from orchestrator.sweep.space import grid, probes, space_of
from orchestrator.sweep.spec import SweepSpec, known
from orchestrator.sweep.trial import Trial
from worker.contract import VALID
from worker.errors import BadConfig
from worker.nearest import hint, nearest
from worker.task import Measure, Task
from worker.tasks import typed

_NOT_OF_A_TRIAL = {"max_cost"}
"""Settings of a job that are the sweep's own here: money bounds the whole."""

DRAWN_FIRST = 10
"""Trials that a preview draws of a search that is no grid: what comes later follows from results.
"""


@dataclass(frozen=True, slots=True)
class Preview:
    """Trials as they would begin, each with its check; nothing was created."""

    trials: tuple[tuple[Trial, Checked | Refused], ...]
    total: int
    """How many there would be in all."""

    def sum(self, what: Callable[[CheckReport], Range]) -> Range:
        """Return an estimate of all trials, those that are not known by the mean of the others."""
        found = [what(one.report) for _, one in self.trials if isinstance(one, Checked)]
        share = self.total / len(self.trials)
        low, expected, high = (
            sum(getattr(one, end) for one in found) * share for end in ("low", "expected", "high")
        )
        return Range(low, expected, high)


def how_of(block: Mapping[str, Any], flags: Mapping[str, Any], source: str) -> SweepSettings:
    """Return a sweep's own settings: of a file's block, the environment, and flags.

    Raises `BadConfig`.
    """
    own = {key: value for key, value in block.items() if key != "try"}
    catalog = Catalog((SweepSettings,))
    layers = [Layer(f"{source}: sweep", own), _environment(catalog), Layer(FLAGS, flags)]
    return merge(catalog, layers).of(SweepSettings)


def tries_of(block: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return what a file's block says to try. Raises `BadConfig`."""
    tries = block.get("try") or {}
    if not isinstance(tries, dict):
        raise BadConfig(f"{source}: `try` in `sweep` is to be a block of settings.")
    return {str(name): values for name, values in tries.items()}


def draft(
    client: Client,
    task: Task[Any],
    settings: Settings,
    tried: Mapping[str, Any],
    how: SweepSettings,
) -> SweepSpec:
    """Return the sweep that is asked for, all that it may try validated.

    Raises `BadConfig` that names all that is wrong.
    """
    space = space_of(task, tried)
    first = flow.ask(client, task, _with(settings, next(probes(space))))
    kept = {k: v for k, v in settings.values.items() if k not in _NOT_OF_A_TRIAL}
    spec = SweepSpec(
        name=first.project,
        task=task.name,
        folder=str(Path.cwd()),
        settings=kept,
        origins={k: v for k, v in settings.origins.items() if k in kept},
        tried=dict(tried),
        how=how,
        max_usd=first.job.max_cost,
        measure=_measures(task, first.params, how)[0],
        begun_at=client.clock.now().isoformat(),
    )
    if is_grid(spec) and how.pruner != "none":
        raise BadConfig(
            "a grid tries all to their end, and --pruner is Optuna's.", fix="--trials 20"
        )
    points = grid(space) if is_grid(spec) else list(probes(space))
    _refuse_wrong(lambda values: asked_for(client, spec, Trial(0, values)), points)
    return spec


def begun(client: Client, spec: SweepSpec) -> SweepSpec | None:
    """Return the sweep that this one goes on with; none if it is new. Raises `BadConfig`."""
    there = known(spec.name)
    if there is None:
        if client.records.of_sweep(spec.name):
            raise BadConfig(
                f"there are jobs of an earlier sweep called {spec.name}.",
                fix=f"hubtrain rm {spec.name} deletes them; or another --project-name",
            )
        return None
    if not there.same(spec):
        raise BadConfig(
            f"{spec.name} is a sweep already, of other settings.",
            fix=f"hubtrain sweep --resume {spec.name} goes on with it; or another --project-name",
        )
    return there.changed(spec)


def check_first(
    client: Client, spec: SweepSpec, on_step: Callable[[str], None]
) -> Checked | Refused:
    """Check the first trial. Raises `BadConfig`."""
    settings = search_of(spec, keeps=False).settings(0)
    return flow.check(client, asked_for(client, spec, Trial(0, settings)), on_step)


def judged(spec: SweepSpec, checked: Checked) -> SweepSpec:
    """Return the sweep with the measurement that its trials are judged by.

    That is what the task names first; without a validation split the first that needs none.
    Raises `BadConfig` where there is none.
    """
    found = _measures(spec.kind, checked.asked.params, spec.how)
    if not checked.report.known.data.valid_rows:
        found = [one for one in found if not one.name.startswith(VALID)]
    if not found:
        raise BadConfig(
            f"{spec.measure.name} is measured on a validation split, and there is none.",
            fix="--valid-split 0.1",
        )
    return replace(spec, measure=found[0])


def preview(client: Client, spec: SweepSpec, on_trial: Callable[[int, int], None]) -> Preview:
    """Check the trials that a sweep would begin with; `on_trial` is told which, and of how many."""
    search = search_of(spec, keeps=False)
    many = search.total if is_grid(spec) else min(search.total, DRAWN_FIRST)

    def checked() -> Iterator[tuple[Trial, Checked | Refused]]:
        for number in range(many):
            on_trial(number, many)
            trial = Trial(number, search.settings(number))
            yield trial, flow.check(client, asked_for(client, spec, trial))

    return Preview(tuple(checked()), search.total)


def _environment(catalog: Catalog) -> Layer:
    """Return what variables say of a sweep; those of its jobs are others' to read."""
    names = {setting.env for setting in catalog.settings.values()}
    ours = {name: value for name, value in os.environ.items() if name in names}
    return from_environment(catalog, ours)


def _measures(task: Task[Any], params: Any, how: SweepSettings) -> list[Measure]:
    """Return the measurements that may judge, or the one that is named. Raises `BadConfig`."""
    found = list(task.measures(params))
    if not found:
        raise BadConfig(f"{typed(task.name)} measures nothing by which jobs could be compared.")
    if how.metric is None:
        return found
    named = [one for one in found if how.metric == one.name]
    named += [one for one in found if f"{VALID}{how.metric}" == one.name]
    if not named:
        names = [one.name for one in found]
        near = hint(nearest(how.metric, names)) or f" There are {', '.join(names)}."
        raise BadConfig(f"--metric {how.metric} is nothing that the task judges models by.{near}")
    return named[:1]


def _with(settings: Settings, values: Mapping[str, Any]) -> Settings:
    origins = {**settings.origins, **dict.fromkeys(values, "--try")}
    return replace(settings, values={**settings.values, **values}, origins=origins)


def _refuse_wrong(
    ask: Callable[[Mapping[str, Any]], Any], points: Sequence[Mapping[str, Any]]
) -> None:
    """Ask for each, and raise `BadConfig` with each complaint once."""
    wrong: dict[str, None] = {}
    for values in points:
        try:
            ask(values)
        except BadConfig as error:
            wrong |= dict.fromkeys(error.message.split("\n"))
    if wrong:
        raise BadConfig("\n".join(wrong))
