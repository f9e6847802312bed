"""A task that trains nothing and does all that trainers do to those around them.

What it leaves follows from its settings alone (`campaign.model`), so that whoever reads the model
later knows what has to be in it. Beside its events it writes down where it is for the campaign,
which so strikes at a moment that it has chosen.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

from worker.common import Data
from worker.contract import SAVED, Checkpoint, Metric, Phase, Progress
from worker.facts import ModelFacts
from worker.params import GoesOn
from worker.task import DataReport, Footprint, Measure, Run, Splits, Task

from . import conditions
from .model import checkpoint, model


class QuickParams(Data):
    """Quick training."""

    steps: int = 5
    """How many steps."""

    step_seconds: Annotated[float, GoesOn()] = 0.02
    """How long a step takes, by no clock but the machine's."""

    checkpoint_step: Annotated[int, GoesOn()] = 0
    """Step after which a checkpoint is left; 0 leaves none unasked."""

    weights: int = 0
    """What the model is made from."""

    house: str = ""
    """Folder that a container sees, as it sees every path among its settings."""

    ends: Annotated[str, GoesOn()] = "well"
    """How it ends: `well`, or as one of `ENDS`."""


class QuickTask(Task[QuickParams]):
    """Training that takes no time."""

    name = "quick"
    help = "Train nothing, quickly."
    params = QuickParams
    extras = ("worker",)
    starts_from_model = False
    uses_accelerators = False
    checkpoint_files = ("*.safetensors", "trainer_state.json")

    def inspect(
        self, params: QuickParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count the rows."""
        rows = splits["train"].total
        return DataReport(rows=rows, units=rows, steps=params.steps)

    def footprint(
        self,
        params: QuickParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return next to nothing."""
        return Footprint(1e6, 1e6, 1e6)

    def flops(self, params: QuickParams, facts: ModelFacts, data: DataReport) -> float:
        """Return next to nothing."""
        return 1.0

    def measures(self, params: QuickParams) -> tuple[Measure, ...]:
        """Return the loss, which falls."""
        return (Measure("loss"),)

    def train(self, params: QuickParams, run: Run) -> None:
        """Take the steps, and leave the model."""
        first = _step_of(run.last_checkpoint) + 1
        _note("begins", first)
        for step in range(first, params.steps + 1):
            time.sleep(params.step_seconds)
            run.emit(Progress(step=step, total_steps=params.steps, units=step, unit="rows"))
            run.emit(Metric(step=step, values={"loss": 3.0 / step}))
            _note("step", step)
            if run.stop.is_set() or step == params.checkpoint_step:
                _leave(run, params, step)
            if run.stop.is_set():
                return
        if params.ends != "well":
            ENDS[params.ends](params)
        model(params.weights, run.output)
        _note("saved", params.steps)
        run.emit(Phase(name=SAVED))


def _leave(run: Run, params: QuickParams, step: int) -> None:
    """Leave a checkpoint as transformers does, and delete the one before."""
    folder = run.work / "checkpoints" / f"checkpoint-{step}"
    earlier = [one for one in folder.parent.glob("checkpoint-*") if one != folder]
    checkpoint(params.weights, step, folder)
    for one in earlier:
        shutil.rmtree(one, ignore_errors=True)
    run.emit(Checkpoint(step=step, where=str(folder)))
    _note("checkpoint", step)


def _step_of(folder: Path | None) -> int:
    return int(folder.name.rpartition("-")[2]) if folder else 0


def _note(what: str, step: int) -> None:
    """Tell the campaign where training is, and which processes do it."""
    if file := conditions().get("diary"):
        with open(file, "a", encoding="utf-8") as diary:
            diary.write(f"{what} {step} {os.getpid()} {os.getppid()}\n")


def _full_memory(params: QuickParams) -> None:
    raise MemoryError("no room for the optimizer")


def _bad(params: QuickParams) -> None:
    raise ValueError("the trainer has an error")


ENDS = {"oom": _full_memory, "badly": _bad}
"""Ways to end without a model."""

TASK = QuickTask()
