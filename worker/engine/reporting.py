"""Training, told as it happens: callbacks that turn steps, losses and checkpoints into events."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from worker.contract import Checkpoint, Event, Metric, Phase, Progress
from worker.errors import BadConfig

PROGRESS_SECONDS = 1.0
"""Least time between two reports of progress."""

NAMES = {
    "loss": "loss",
    "learning_rate": "lr",
    "grad_norm": "grad_norm",
    "eval_loss": "valid_loss",
    "eval_perplexity": "valid_perplexity",
}
"""What transformers logs, and what our events call it."""


class Report(TrainerCallback):  # type: ignore[misc]
    """Emits Progress, Metric and Checkpoint; ends a training whose loss is no number."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.emit = emit
        self.began = 0.0
        self.told = -math.inf
        self.first_step = 0
        self.first_tokens = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.began = time.monotonic()
        self.first_step, self.first_tokens = state.global_step, state.num_input_tokens_seen
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
        values = {NAMES[k]: float(v) for k, v in (logs or {}).items() if k in NAMES}
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
        tokens = state.num_input_tokens_seen
        self.emit(
            Progress(
                step=state.global_step,
                total_steps=state.max_steps,
                epoch=state.epoch or 0.0,
                tokens=tokens,
                tokens_per_second=(tokens - self.first_tokens) / seconds if steps else None,
                eta_seconds=seconds / steps * (state.max_steps - state.global_step)
                if steps
                else None,
            )
        )


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
        if self.asked.is_set():
            self._stop(state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.asked.is_set():
            self._stop(state, control)

    def _stop(self, state: TrainerState, control: TrainerControl) -> None:
        control.should_training_stop = True
        control.should_evaluate = False
        control.should_save = self.saved_at != state.global_step
        self.saved_at = state.global_step
