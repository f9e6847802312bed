"""What a program reads of a training, in `hubtrain.json` beside its model.

It is made of the spec and the events alone. `hubtrain rerun` trains once more from it. Anybody may
have written such a file, so `read` takes nothing that `manifest` could not have written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from worker import tasks
from worker.contract import VALID, Event, JobSpec, Metric, Started, Story, fold
from worker.contract.events import Values
from worker.contract.frozen import Frozen

CURVE_POINTS = 300
"""Most points of the curve, beside validations."""

MOST_BYTES = 4 << 20
"""More than any manifest has: 300 points and a validation at each of 20,000 steps."""

Word = Annotated[str, Field(max_length=200)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Manifest(Frozen):
    """What a program and a sceptical reader need to know of a training."""

    schema_version: Literal[1] = 1
    spec: JobSpec
    versions: dict[Word, Word] = Field(default_factory=dict, max_length=50)
    """Of Python and of the libraries that decide what training does, by name."""

    hardware: dict[Word, Word | int | float | list[Word] | None] = Field(
        default_factory=dict, max_length=50
    )
    """The machine, as its worker found it."""

    chosen: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,79}$")], bool | int] = Field(
        default_factory=dict
    )
    """What the worker chose for its machine, by the names of settings where there is one."""

    started_at: datetime | None = None
    trained_at: datetime
    seconds: Finite
    cost_usd: Finite
    metrics: Values
    """The newest value of everything that was measured."""

    curve: tuple[Values, ...]
    """What was measured at each `step`, thinned to `CURVE_POINTS`."""

    @field_validator("curve")
    @classmethod
    def _have_steps(cls, curve: tuple[dict[str, float], ...]) -> tuple[dict[str, float], ...]:
        if not all("step" in point for point in curve):
            raise ValueError("a point of the curve has no step")
        return curve

    def to_text(self) -> str:
        """Return the text of the file."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True)
class TrainedJob:
    """A finished training, for those who describe it."""

    spec: JobSpec
    events: list[Event]
    now: datetime
    license: str | None = None
    """Licence of the base model, by its Hub name, where it is known."""

    @property
    def story(self) -> Story:
        return fold(self.events)

    @property
    def started(self) -> Started | None:
        return next((e for e in reversed(self.events) if isinstance(e, Started)), None)


def manifest(trained: TrainedJob) -> Manifest:
    """Return the manifest of a training."""
    spec, story, started = trained.spec, trained.story, trained.started
    return Manifest(
        spec=spec,
        versions=started.versions if started else {},
        hardware=started.hardware if started else {},
        chosen=story.chosen,
        started_at=story.started_at,
        trained_at=trained.now,
        seconds=round(story.seconds(trained.now), 1),
        cost_usd=round(story.cost(spec.machine.usd_per_hour, trained.now), 4),
        metrics={k: v for k, v in story.metrics.items() if math.isfinite(v)},
        curve=tuple(curve(story.history, CURVE_POINTS, telling(spec))),
    )


def read(text: str) -> Manifest:
    """Return the manifest in a text that anybody may have written; raises `ValueError`."""
    return Manifest.model_validate_json(text)


def curve(history: list[Metric], points: int, names: Collection[str]) -> list[dict[str, float]]:
    """Return the measurements of these names by step, thinned to so many points.

    The first and last points stay, and so does every validation: there are few of them.
    """
    by_step: dict[int, dict[str, float]] = {}
    for metric in history:
        kept = {k: v for k, v in metric.values.items() if k in names and math.isfinite(v)}
        if kept:
            by_step.setdefault(metric.step, {}).update(kept)
    rows = [{"step": float(step), **values} for step, values in sorted(by_step.items())]
    every = max(1, math.ceil(len(rows) / points))
    last = len(rows) - 1
    return [
        row
        for i, row in enumerate(rows)
        if i % every == 0 or i == last or any(name.startswith(VALID) for name in row)
    ]


def drawn(spec: JobSpec) -> tuple[str, ...]:
    """Return what is drawn, of training and of validation: losses, unless they tell little."""
    task, params = tasks.asked(spec)
    watched = task.watched(params)
    return task.losses if watched == "loss" else (watched, f"{VALID}{watched}")


def telling(spec: JobSpec) -> list[str]:
    """Return what the curve has: what is drawn, what tells most, and the learning rate."""
    task, params = tasks.asked(spec)
    first = [measure.name for measure in task.measures(params)[:1]]
    return list(dict.fromkeys((*drawn(spec), *first, *task.steering[:1])))


def spec_in(text: str) -> JobSpec | None:
    """Return the job that a manifest is of; none if this program cannot read it."""
    try:
        told: Any = json.loads(text)
        return JobSpec.model_validate(told["spec"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
