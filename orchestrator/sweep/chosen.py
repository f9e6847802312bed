"""Who chooses the settings of a sweep: a grid has all of them, else Optuna is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.sweep.search import Search
from orchestrator.sweep.space import Numbers, grid
from orchestrator.sweep.spec import SweepSpec, folder_of
from orchestrator.sweep.study import Study


class Grid(Search):
    """All combinations, in order."""

    def __init__(self, spec: SweepSpec) -> None:
        self._points = grid(spec.space)
        self.total = min(len(self._points), spec.how.trials or len(self._points))

    def settings(self, number: int) -> Mapping[str, Any]:
        """Return the combination of this number."""
        return self._points[number]

    def tell(self, number: int, value: float | None) -> None:
        """Learn nothing from it."""


def search_of(spec: SweepSpec, *, keeps: bool = True) -> Search:
    """Return what chooses a sweep's settings; without `keeps` nothing of it is kept.

    Raises `BadConfig`, also where Optuna is needed and not installed.
    """
    if is_grid(spec):
        return Grid(spec)
    return Study(spec, folder_of(spec.name) / "optuna.sqlite" if keeps else None)


def is_grid(spec: SweepSpec) -> bool:
    """Whether all combinations are tried."""
    how = spec.how
    if how.sampler is not None:
        return how.sampler == "grid"
    return how.trials is None and not any(isinstance(one, Numbers) for one in spec.space)
