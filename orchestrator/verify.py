"""Whether a training that was done once more went as its original did: the two curves, compared.

The original's curve is that of its manifest, thinned where it is long; each of its points is held
against the same step of the other. Values in, values out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import worker.tasks
from orchestrator.jobs import diff
from worker.contract import Metric, Story
from worker.manifest import Manifest
from worker.shorten import some

TOLERANCE = 1e-4
"""Largest difference that counts as none, by default: the same kind of machine stays within it."""


TOLD = ("gpus", "cpus", "platform")
"""What of the hardware decides in which order numbers are added."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One measurement of two trainings, held against each other."""

    name: str
    steps: int
    """Steps at which both measured it."""

    largest: float
    """The largest difference, either way."""

    step: int
    """Where that is."""

    then: float
    now: float
    lacking: tuple[int, ...] = ()
    """Steps at which only the original measured it."""

    def within(self, tolerance: float) -> bool:
        """Whether the two are the same, up to so much."""
        return not self.lacking and self.largest <= tolerance


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comparing two trainings came to."""

    gaps: tuple[Gap, ...]
    tolerance: float
    unlike: tuple[str, ...]
    """What was not the same about them, as far as that is known."""

    @property
    def same(self) -> bool:
        """Whether all that the original measured was measured again, up to the tolerance."""
        return bool(self.gaps) and all(gap.within(self.tolerance) for gap in self.gaps)

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "same": self.same,
            "tolerance": self.tolerance,
            "measurements": [asdict(gap) for gap in self.gaps],
            "unlike": list(self.unlike),
        }


def verified(original: Manifest, again: Manifest, story: Story, tolerance: float) -> Verdict:
    """Return how a training went beside its original; `story` has all that it measured."""
    measured = _by_step(story.history)
    gaps = [_gap(name, points, measured) for name, points in _points(original)]
    return Verdict(tuple(gaps), tolerance, tuple(_unlike(original, again)))


def _points(original: Manifest) -> Iterator[tuple[str, dict[int, float]]]:
    """Yield the measurements of the original that tell how it went, each by step."""
    steering = worker.tasks.load(original.spec.task).steering
    names = dict.fromkeys(name for row in original.curve for name in row)
    for name in names:
        if name != "step" and name not in steering:
            yield name, {int(row["step"]): row[name] for row in original.curve if name in row}


def _by_step(history: list[Metric]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for metric in history:
        found.setdefault(metric.step, {}).update(metric.values)
    return found


def _gap(name: str, points: Mapping[int, float], now: Mapping[int, Mapping[str, float]]) -> Gap:
    both = {step: now[step][name] for step in points if name in now.get(step, {})}
    lacking = tuple(step for step in points if step not in both)
    if not both:
        return Gap(name, 0, 0.0, 0, 0.0, 0.0, lacking)
    step = max(both, key=lambda one: abs(both[one] - points[one]))
    largest = abs(both[step] - points[step])
    return Gap(name, len(both), largest, step, points[step], both[step], lacking)


def _unlike(then: Manifest, now: Manifest) -> Iterator[str]:
    yield from diff.of_training(then.spec, now.spec)
    before, after = then.spec.machine.words, now.spec.machine.words
    if before != after:
        yield f"the machine was {'-'.join(before)} and is {'-'.join(after)}"
    for name in then.versions:
        yield from _other(name, then.versions[name], now.versions.get(name))
    for name in TOLD:
        yield from _other(
            f"its {name}", *map(_shown, (then.hardware.get(name), now.hardware.get(name)))
        )


def _other(what: str, then: str | None, now: str | None) -> Iterator[str]:
    if then != now:
        yield f"{what} was {then or 'not told'} and is {now or 'not told'}"


def _shown(value: object) -> str:
    return some(value) if isinstance(value, list) else str(value or "")
