"""One training of the worker on a model and a file of rows, in folders of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from worker.contract import DataRef, Event, ModelRef
from worker.task import Run


def run_on(model: Path, data: Path, emit: Callable[[Event], None]) -> Run:
    """Return a run that trains `model` on `data` and tells `emit` how it goes."""
    folder = Path(tempfile.mkdtemp())
    for part in ("output", "work"):
        (folder / part).mkdir()
    return Run(
        model=ModelRef(name=str(model)),
        data=DataRef(folder=str(data.parent), train=(data.name,)),
        output=folder / "output",
        work=folder / "work",
        emit=emit,
    )
