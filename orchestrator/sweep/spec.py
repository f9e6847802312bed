"""A sweep as it was asked for: kept in the user's folder, so that it can be gone on with.

It holds no secret: of the settings those of a job alone, which `flow.ask` has looked through.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import worker.tasks
from orchestrator.jobs.lock import Locked, is_locked, locked
from orchestrator.settings.gather import classes_of, whose
from orchestrator.settings.layers import Catalog, Settings
from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep.space import Space, space_of
from worker.errors import BadConfig
from worker.home import home, keep
from worker.task import Measure, Task

FILE = "sweep.json"
_HALT = "halt"
_LOCK = "lock.sqlite"
END = "end.json"
"""What was known at its end by whoever ran it last."""

MAY_CHANGE = ("parallel", "keep", "trials")
"""What may be said otherwise when a sweep is gone on with."""


@dataclass(frozen=True)
class SweepSpec:
    """One sweep."""

    name: str
    """The project's: trials are called so, with their number."""

    task: str
    folder: str
    """Where it was begun: paths among the settings are relative to it."""

    settings: Mapping[str, Any]
    """The job's settings, those that are tried and the money aside."""

    origins: Mapping[str, str]
    """Where each was said."""

    tried: Mapping[str, Any]
    """Values by setting, as they were said."""

    how: SweepSettings
    max_usd: float | None
    """Most that the whole may cost."""

    measure: Measure
    begun_at: str | None = None
    """When it was asked for first, as ISO 8601: what jobs of an earlier one of its name have cost
    is not its own."""

    @property
    def kind(self) -> Task[Any]:
        """The task itself."""
        return worker.tasks.load(self.task)

    @property
    def space(self) -> Space:
        """What is tried."""
        return space_of(self.kind, self.tried)

    @property
    def catalog(self) -> Catalog:
        """All settings that a job of the task has."""
        return Catalog(classes_of(self.kind), self.kind.ignored, whose)

    def job(self, number: int, values: Mapping[str, Any]) -> Settings:
        """Return the settings of one trial."""
        own = {**values, "project_name": trial_name(self.name, number), "private": True}
        return Settings(
            self.catalog,
            {**{k: v for k, v in self.settings.items() if k != "repo_id"}, **own},
            {**self.origins, **dict.fromkeys(own, "--try")},
        )

    def same(self, other: SweepSpec) -> bool:
        """Whether both try the same settings of the same job, in the same way."""
        return bool(self._tries() == other._tries())

    def changed(self, other: SweepSpec) -> SweepSpec:
        """Return this sweep with what another one says of it that may change."""
        how = {name: getattr(other.how, name) for name in MAY_CHANGE}
        return replace(self, how=self.how.model_copy(update=how), max_usd=other.max_usd)

    def _tries(self) -> Any:
        how = self.how.model_dump(exclude=set(MAY_CHANGE))
        return _plain([self.task, self.folder, self.settings, self.tried, how])

    def write(self) -> None:
        """Keep it. Raises `HubtrainError`."""
        told = {**asdict(self), "how": self.how.model_dump(mode="json")}
        text = json.dumps(told, default=str, indent=2) + "\n"
        keep(folder_of(self.name) / FILE, text, "a sweep")


def trial_name(sweep: str, number: int) -> str:
    """Return the project of a trial."""
    return f"{sweep}-t{number}"


def folder_of(name: str) -> Path:
    """Return the folder of what is kept of a sweep."""
    return home() / "sweeps" / name


def known(name: str) -> SweepSpec | None:
    """Return the sweep of this name; none where none was begun. Raises `BadConfig`."""
    path = folder_of(name) / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        how, measure = SweepSettings(**told.pop("how")), Measure(**told.pop("measure"))
        return SweepSpec(how=how, measure=measure, **told)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadConfig(
            f"what is kept of the sweep {name} in {path} cannot be read: {error}",
            fix=f"hubtrain rm {name} deletes its jobs and it; models stay.",
        ) from error


def names() -> list[str]:
    """Return the sweeps that were begun."""
    return sorted(path.parent.name for path in (home() / "sweeps").glob(f"*/{FILE}"))


def forget(name: str) -> None:
    """Delete what is kept of a sweep beside its jobs. One that is not there is no error."""
    if name in names():
        shutil.rmtree(folder_of(name), ignore_errors=True)


def halt(name: str) -> None:
    """Let whoever runs a sweep begin no further trial, until it is gone on with."""
    if name in names():
        (folder_of(name) / _HALT).touch()


def halted(name: str) -> bool:
    """Whether no further trial is to be begun."""
    return (folder_of(name) / _HALT).exists()


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Run a sweep: no other process does meanwhile, and nothing of its end holds any more.

    Raises `BadConfig` where another process runs it.
    """
    folder_of(name).mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder_of(name) / _LOCK):
            for earlier in (_HALT, END):
                (folder_of(name) / earlier).unlink(missing_ok=True)
            yield
    except Locked as error:
        raise BadConfig(
            f"the sweep {name} is being run by another process.",
            fix=f"hubtrain status {name} shows its trials.",
        ) from error


def is_run(name: str) -> bool:
    """Whether a process of this machine runs the sweep now."""
    return is_locked(folder_of(name) / _LOCK)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
