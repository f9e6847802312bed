"""The run of a training on files of this machine, and what it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.contract import DataRef, Event, ModelRef
from worker.task import Run, Task


def run_of(
    task: Task[Any],
    params: Any,
    model: Path,
    data: Path,
    folder: Path,
    *,
    valid: Path | None = None,
) -> tuple[Run, list[Event]]:
    """Return a run that leaves its result in `folder`, and the list its events will be in.

    `valid` lies beside `data`. What it counts and judges by is the task's, as the worker has it.
    """
    events: list[Event] = []
    held = (valid.name,) if valid else ()
    run = Run(
        model=ModelRef(name=str(model)),
        data=DataRef(folder=str(data.parent), train=(data.name,), valid=held),
        output=folder / "output",
        work=folder / "work",
        emit=events.append,
        headline=task.measures(params)[0],
        unit=task.unit(params),
    )
    return run, events
