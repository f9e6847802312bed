"""The job that preflight checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.base import NoOptions
from orchestrator.settings.job import JobSettings
from worker.contract import DataRef, JobSpec, ModelRef, Start
from worker.errors import HubtrainError
from worker.params import Params
from worker.task import Task


@dataclass(frozen=True, slots=True)
class Earlier:
    """A job whose training another one goes on with, or does once more."""

    spec: JobSpec
    data: DataRef | None
    """Its examples, where they are taken as they lie; none where others are asked for."""

    files: DataRef | None
    """The same of the files that went along with it."""

    model: ModelRef | None
    """The model that it began with; none where there was none, or another is asked for."""

    start: Start | None = None
    """The checkpoint that is gone on from; none for a training from its first step."""

    total_steps: int | None = None
    """Steps that it would have had; none if it never said."""

    def left(self, steps: int) -> float:
        """Return the share of a training of so many steps that is still to be done."""
        done = self.start.step if self.start else 0
        return max(0.0, 1 - done / steps) if steps else 1.0


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A job as its user wants it, settings validated and nothing looked up yet."""

    task: Task[Any]
    params: Any
    """Settings of the task: a validated `task.params`."""

    project: str
    owner: str | None
    """Namespace that gets the model and pays; none is the token's own."""

    token_given: bool
    job: JobSettings
    typed: frozenset[str] = frozenset()
    """Settings given as flags, by name; the others come from a file or the environment."""

    secrets: frozenset[str] = frozenset()
    """Names of what is sent to the machine as a secret."""

    flavor: str | None = None
    """Machine by the provider's name or a short one; none is the cheapest that fits."""

    options: Params = field(default_factory=NoOptions)
    """Settings of the backend."""

    places: tuple[str, ...] | None = None
    """Backends that its user may use, by name; none is all."""

    output: Path | None = None
    """Folder of this machine that gets the model; none if it goes to the Hub alone."""

    earlier: Earlier | None = None
    """The job that it goes on with, or does once more; none for a job of its own."""

    @property
    def along(self) -> tuple[str, ...]:
        """Files and folders that go along; none where a setting that names them is wrong."""
        try:
            return self.task.files(self.params)
        except HubtrainError:  # said by the setting
            return ()

    @property
    def together(self) -> bool:
        """Whether several processes can train it, one on each GPU."""
        return self.task.trains_together(self.params)

    @property
    def way(self) -> str:
        """What trains it, by name: a task's trainer where it has several, else the task."""
        return way_of(self.task, self.params)

    @property
    def kind(self) -> str:
        """The task, with its trainer where it has several, as `hubtrain jobs` shows it."""
        trainer = getattr(self.params, "trainer", None)
        return f"{self.task.name} {trainer}" if trainer else self.task.name

    @property
    def extras(self) -> tuple[str, ...]:
        """Extras of the package that the task and its settings need."""
        return extras_of(self.task, self.params)


def way_of(task: Task[Any], params: Any) -> str:
    """Return the way a task trains, by its name; the task's own where it has one way."""
    return task.method(params) or task.name


def extras_of(task: Task[Any], params: Any) -> tuple[str, ...]:
    """Return the extras of the package that a task needs with these settings."""
    return (*task.extras, *getattr(params, "extras", ()))
