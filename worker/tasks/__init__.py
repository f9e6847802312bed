"""Kinds of training. Each module or folder here named after one ends with `TASK = YourTask()`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.contract import JobSpec
    from worker.task import Task


def names() -> list[str]:
    """Return the tasks there are, importing none of them."""
    return sorted(m.name for m in iter_modules(__path__))


def typed(name: str) -> str:
    """Return a task's name as people type it: with dashes."""
    return name.replace("_", "-")


def load(name: str) -> Task[Any]:
    """Import one task's declaration; raises `ValueError` with the nearest name."""
    if name not in names():
        from worker.nearest import hint, nearest

        near = hint(nearest(name, names()))
        raise ValueError(f"no task called {name!r}; there are: {', '.join(names())}.{near}")
    task: Task[Any] = import_module(f"worker.tasks.{name}").TASK
    return task


def asked(spec: JobSpec) -> tuple[Task[Any], Any]:
    """Return a job's task and settings, as they were validated when it was made."""
    task = load(spec.task)
    return task, task.params.model_construct(**spec.params)
