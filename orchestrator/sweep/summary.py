"""A sweep as one JSON document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchestrator.sweep.best import Placed
from orchestrator.sweep.run import Running
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.trial import Trial, best_of


def document(running: Running, placed: Placed | None, now: datetime) -> dict[str, Any]:
    """Return a sweep and all of its trials; `placed` is where the best model was put."""
    spec = running.spec
    best = best_of(running.trials, spec.measure)
    return {
        "sweep": spec.name,
        "total": running.search.total,
        "metric": spec.measure.name,
        "better": spec.measure.better,
        "best": best.number if best else None,
        "model": placed.url if placed else best.model if best else None,
        "removed": list(placed.removed) if placed else [],
        "cost_usd": round(sum(t.usd(now) for t in running.trials), 4),
        "max_cost_usd": spec.max_usd,
        "ended_early": running.ended_early or None,
        "worth": dict(running.search.worth()),
        "trials": [_of_trial(trial, spec, now) for trial in running.trials],
    }


def _of_trial(trial: Trial, spec: SweepSpec, now: datetime) -> dict[str, Any]:
    story = trial.record.story if trial.record else None
    return {
        "trial": trial.number,
        "job": trial.record.job_id if trial.record else None,
        "settings": dict(trial.settings),
        "state": story.state if story else None,
        "reason": story.reason if story else None,
        "value": trial.value(spec.measure),
        "as": trial.twin,
        "pruned": trial.pruned,
        "refused": trial.refused or None,
        "model": trial.model,
        "cost_usd": round(trial.usd(now), 4),
        "seconds": round(story.seconds(now), 1) if story else 0.0,
    }
