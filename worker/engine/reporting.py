"""Training, told as it happens: callbacks that turn steps, losses and checkpoints into events."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from worker.contract import Checkpoint, Chosen, Event, Metric, Phase, Progress
from worker.engine import processes
from worker.errors import BadConfig

PROGRESS_SECONDS = 1.0
"""Least time between two reports of progress."""

NAMES = {"learning_rate": "lr"}
"""Names that trainers log under, and those of our events where they differ."""

NOISE = re.compile(
    r"(train|eval)_(runtime|(samples|steps|tokens)_per_second|model_preparation_time)"
    r"|epoch|total_flos|train_loss|num_input_tokens_seen|(eval_)?(num_tokens|step_time)"
)
"""Names of what transformers (5.23) and TRL (1.16) log beside measurements, each whole;
`train_loss` is the mean of all losses."""

NOT_PLAIN = re.compile(r"^[^A-Za-z0-9_]+|[^A-Za-z0-9_./:@+-]")
LONGEST_NAME = 80


def measurements(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return what a trainer measured, by the names events give it, one that is no number included.

    `eval_accuracy` is `valid_accuracy`, and what is new keeps its name, such as `rewards/chosen`.
    """
    return {
        _named(name): float(value)
        for name, value in logs.items()
        if isinstance(value, Real) and not isinstance(value, bool) and not NOISE.fullmatch(name)
    }


def _named(name: str) -> str:
    ours = NAMES.get(name, re.sub(r"^eval_", "valid_", name))
    return NOT_PLAIN.sub("_", ours)[:LONGEST_NAME]


def _chosen(args: TrainingArguments, state: TrainerState) -> dict[str, bool | int]:
    """Return the rows of a pass and the passes of a step as they are, whatever was asked for."""
    return {
        "batch_size": state.train_batch_size or args.per_device_train_batch_size,
        "gradient_accumulation": args.gradient_accumulation_steps,
        "recomputed_activations": bool(args.activation_checkpointing),
    }


class EventCallback(TrainerCallback):  # type: ignore[misc]
    """Emits Chosen, Progress, Metric and Checkpoint; ends a training whose loss is no number.

    Progress counts `unit`: `rows` to an epoch, or the tokens the trainer counts where none are
    given.
    """

    def __init__(self, emit: Callable[[Event], None], unit: str, rows: int | None = None) -> None:
        self.emit = emit
        self.unit = unit
        self.rows = rows
        self.began = 0.0
        self.told = -math.inf
        self.first_step = 0
        self.first_units = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.began = time.monotonic()
        self.first_step, self.first_units = state.global_step, self._units(state)
        self.emit(Chosen(settings=_chosen(args, state)))
        self._tell(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        last = state.global_step >= state.max_steps
        if last or time.monotonic() - self.told >= PROGRESS_SECONDS:
            self._tell(state)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        values = measurements(logs or {})
        if "loss" in values and not math.isfinite(values["loss"]):
            raise BadConfig(
                f"The loss is not a number at step {state.global_step}: the training diverged.",
                fix=f"Lower the learning rate: --lr {args.learning_rate / 10:g}",
            )
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        if finite:
            self.emit(Metric(step=state.global_step, values=finite))

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if time.monotonic() - self.told >= PROGRESS_SECONDS:
            self.told = time.monotonic()
            self.emit(Phase(name="validating"))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        self.emit(Checkpoint(step=state.global_step, where=str(folder)))

    def _tell(self, state: TrainerState) -> None:
        self.told = time.monotonic()
        seconds, steps = self.told - self.began, state.global_step - self.first_step
        units = self._units(state)
        self.emit(
            Progress(
                step=state.global_step,
                total_steps=state.max_steps,
                epoch=state.epoch or 0.0,
                units=units,
                unit=self.unit,
                units_per_second=(units - self.first_units) / seconds if steps else None,
                eta_seconds=seconds / steps * (state.max_steps - state.global_step)
                if steps
                else None,
            )
        )

    def _units(self, state: TrainerState) -> int:
        if self.rows is None:
            return int(state.num_input_tokens_seen)
        return round((state.epoch or 0.0) * self.rows)


class KeepLast(TrainerCallback):  # type: ignore[misc]
    """Deletes all but the last checkpoints and the best, after the newest was told.

    transformers would delete before: whoever is killed in between would know of none that is there.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if processes.is_first():
            best = state.best_model_checkpoint
            rotate_checkpoints(str(args.output_dir), self.limit, best, use_mtime=True)


class StopWhenAsked(TrainerCallback):  # type: ignore[misc]
    """Saves a checkpoint and ends after the step in which `asked` was set.

    Nothing is validated any more: whoever asks, for a deadline say, may not have the minutes.
    """

    def __init__(self, asked: threading.Event) -> None:
        self.asked = asked
        self.saved_at = 0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._look(state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._look(state, control)

    def _look(self, state: TrainerState, control: TrainerControl) -> None:
        """Stop where any process was asked to: all of them, after the same step."""
        if not processes.any_of(self.asked.is_set()):
            return
        self.asked.set()
        control.should_training_stop = True
        control.should_evaluate = False
        control.should_save = self.saved_at != state.global_step
        control.should_log = True  # or the losses since the last report would never be told
        self.saved_at = state.global_step


class SaveInTime(TrainerCallback):  # type: ignore[misc]
    """Saves a checkpoint after the step in which the last one is so many seconds old."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.clock = seconds, clock
        self.saved, self.step = clock(), 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.saved = self.clock()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        due = self.clock() - self.saved >= self.seconds
        if processes.any_of(due):  # all of them save, after the same step
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.saved, self.step = self.clock(), state.global_step

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.step == state.global_step and not control.should_evaluate:
            control.should_save = False  # it has just been saved


class AtThisRate(TrainerCallback):  # type: ignore[misc]
    """Trains at the learning rate that is asked for, where a checkpoint remembers another."""

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        **_: Any,
    ) -> None:
        schedule = getattr(lr_scheduler, "scheduler", lr_scheduler)
        before = max(getattr(schedule, "base_lrs", None) or [0.0])
        if not state.global_step or not before or args.learning_rate == before:
            return
        # Groups may have rates of their own, such as LoRA+'s: each is changed in proportion.
        scale = args.learning_rate / before
        schedule.base_lrs = [rate * scale for rate in schedule.base_lrs]
        for group in optimizer.param_groups:
            group["initial_lr"] = group.get("initial_lr", group["lr"]) * scale
            group["lr"] = group["lr"] * scale
        schedule._last_lr = [group["lr"] for group in optimizer.param_groups]
