"""What can be trained, and a tiny job of each kind to begin with.

A task says its own in `Task.sample`; nothing here lists tasks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import worker.tasks
from orchestrator.settings.gather import task_of
from orchestrator.settings.template import JOB_FILE, template
from orchestrator.words import already
from worker.errors import BadConfig
from worker.params import settings_of
from worker.task import Sample, Task


@dataclass(frozen=True)
class Kind:
    """A kind of training, by a name that `hubtrain init` and a file's `task` take."""

    name: str
    task: Task[Any]
    given: Mapping[str, Any]
    """The settings that go with the name."""

    @property
    def sample(self) -> Sample | None:
        """Its tiny job; none where there is none."""
        return self.task.sample(self.given)


def kinds() -> Iterator[Kind]:
    """Yield what can be trained: each task, then each of its other names that means settings."""
    for task in map(worker.tasks.load, worker.tasks.names()):
        settings = {setting.name: setting for setting in settings_of(task.params)}
        seen: list[Mapping[str, Any]] = [{}]
        yield Kind(worker.tasks.typed(task.name), task, {})
        for name, given in task.also_called.items():
            other = {k: v for k, v in given.items() if settings[k].default != v}
            there = all(value not in settings[key].not_yet for key, value in other.items())
            if there and other not in seen:
                seen.append(other)
                yield Kind(name, task, given)


def begin(name: str, folder: Path) -> list[Path]:
    """Write a job of this kind and a tiny sample of data; return the files, the job's first.

    Raises `BadConfig` where a file is there already, and for a kind without a sample.
    """
    task, given = task_of(name, "the task")
    sample = task.sample(given)
    if sample is None:
        raise BadConfig(
            f"{name} has no sample.", fix=f"hubtrain {worker.tasks.typed(task.name)} --help"
        )
    job = template(name, task, given, sample)
    contents = {JOB_FILE: job, **sample.files}
    if there := [path for path in contents if os.path.lexists(folder / path)]:
        raise BadConfig(already(str(folder), there), fix=f"hubtrain init {name} ANOTHER-FOLDER")
    for path, content in contents.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return [folder / path for path in contents]
