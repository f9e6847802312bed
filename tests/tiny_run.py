"""The run of a training on files of this machine, and what it tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from worker.contract import DataRef, Event, ModelRef
from worker.task import Measure, Run


def run_of(
    model: Path,
    data: Path,
    folder: Path,
    *,
    valid: Path | None = None,
    headline: Measure | None = None,
) -> tuple[Run, list[Event]]:
    """Return a run that leaves its result in `folder`, and the list its events will be in.

    `valid` lies beside `data`; without a `headline` the best checkpoint is told by the loss.
    """
    events: list[Event] = []
    held = (valid.name,) if valid else ()
    run = Run(
        model=ModelRef(name=str(model)),
        data=DataRef(folder=str(data.parent), train=(data.name,), valid=held),
        output=folder / "output",
        work=folder / "work",
        emit=events.append,
    )
    return (replace(run, headline=headline) if headline else run), events
