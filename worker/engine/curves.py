"""The curves of a training as TensorBoard reads them, kept with the model in `runs/`.

Only numbers are written: the library's own callback adds all arguments as text, and with them
paths of this machine.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import rewrite_logs

FOLDER = "runs"


class Curves(TrainerCallback):  # type: ignore[misc]
    """Writes what is logged to a folder; a training that resumes goes on beside what is there."""

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(logdir=str(folder))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Write the numbers of one step."""
        for name, value in rewrite_logs(logs or {}).items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, state.global_step)
        self._writer.flush()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the file."""
        self._writer.close()


def keep(work: Path, output: Path) -> None:
    """Copy the curves to the finished model, under names that do not tell this machine's."""
    for number, file in enumerate(sorted((work / FOLDER).glob("*tfevents*"))):
        (output / FOLDER).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, output / FOLDER / f"events.out.tfevents.{number}.hubtrain")
