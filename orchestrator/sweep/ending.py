"""What whoever runs a sweep does at its end: puts the best in its place, and tells of it."""

from __future__ import annotations

from orchestrator.sweep.best import Placed, place, target_of
from orchestrator.sweep.documents import Sweep, document
from orchestrator.sweep.kept import leave
from orchestrator.sweep.run import Running
from orchestrator.sweep.trial import best_of


def place_best(running: Running) -> Placed | None:
    """Put the best model of a sweep that is complete in its place.

    None where it stays where it was trained. May repeat. Raises `HubtrainError`.
    """
    spec, trials = running.spec, running.trials
    best = best_of(trials, spec.measure)
    complete = not running.ended_early and all(trial.over for trial in trials)
    if best is None or best.record is None or not complete:
        return None
    target = target_of(spec, best.record.spec.owner)
    if target is None:
        return None
    others = [t for t in trials if t is not best and t.record]
    return place(running.client, best, others, target, keep=spec.how.keep)


def left(running: Running, placed: Placed | None = None) -> Sweep:
    """Leave what is known of a sweep to whoever looks at it, and return it."""
    found = document(
        running.spec,
        running.search.total,
        running.trials,
        running.client.clock.now(),
        placed=placed,
        ended_early=running.ended_early,
        worth=running.search.worth(),
    )
    leave(found)
    return found
