"""A training from its first step to the finished folder: the part that is the same for all tasks.

A task that trains with transformers, here one that tells pictures apart, does it in five lines:

    source = Source(run.base, AutoModelForImageClassification, more={"num_labels": 3})
    loaded = load(source, params)                                    # model.py, and adapter.py
    parts = trainer_parts(params, run, loaded, images, held_out)      # arguments.py
    if fit(Trainer(**parts, data_collator=...), params, run):
        finish(loaded, params, run, source.processor(AutoImageProcessor).save_pretrained)

It does not know what is trained, nor from what rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from worker.common import WANDB_MODE, EarlyStopping, TransformersSettings
from worker.contract import SAVED, VALID, Phase
from worker.engine import processes
from worker.engine.adapter import merged
from worker.engine.arguments import trackers
from worker.engine.model import Loaded, adapter_of
from worker.engine.optimizer import optimizer_for
from worker.engine.phases import phase
from worker.engine.reporting import (
    AtThisRate,
    EventCallback,
    KeepLast,
    SaveInTime,
    StopWhenAsked,
)
from worker.engine.saving import save_model
from worker.task import Measure, Run


def begin(params: TransformersSettings) -> None:
    """Make chance repeatable, and raise `BadConfig` where the tracker asked for is missing."""
    trackers(params.log)
    set_seed(params.seed)


def fit(trainer: Trainer, params: TransformersSettings, run: Run) -> bool:
    """Train, from `run.last_checkpoint` on if there is one; whether it came to its end.

    It did not where `run.stop` was set: then it has left a checkpoint. Progress counts rows of the
    training data, or tokens where the trainer's arguments have it count them
    (`include_num_input_tokens_seen`), and calls them `run.unit`. Raises whatever torch raises when
    memory runs out.
    """
    trainer.remove_callback(PrinterCallback)  # the events say it all
    if not _counts_tokens(trainer):
        # A model that takes any keyword passes for one that divides its loss by what the whole step
        # holds. Many do not: their gradients would grow with every batch that is accumulated.
        trainer.model_accepts_loss_kwargs = False
    if trainer.args.load_best_model_at_end or trainer.args.save_strategy == "best":
        _judge_by(run.headline, trainer.args)
    for callback in _callbacks(trainer, params, run):
        trainer.add_callback(callback)
    processes.divide(trainer.model)
    trainer.optimizer = trainer.optimizer or optimizer_for(trainer, params)
    if params.log == "wandb" and os.environ.get(WANDB_MODE) == "offline":
        os.environ.setdefault("WANDB_DIR", str(run.output))  # `wandb sync` sends it from there
    last = str(run.last_checkpoint) if run.last_checkpoint else None
    with checkpoints_as_in_memory(trainer.model):
        trainer.train(resume_from_checkpoint=last)
    if processes.any_of(run.stop.is_set()):
        run.stop.set()
    return not run.stop.is_set()


def finish(
    loaded: Loaded, params: TransformersSettings, run: Run, save_beside: Callable[[Path], object]
) -> None:
    """Leave the finished model in `run.output`, the adapter merged in where that is asked.

    `save_beside` writes what loading it takes beside the weights, such as the tokenizer.
    """
    with saving(params, run):
        _save(loaded, params, run)
        if processes.is_first():
            save_beside(run.output)


@contextmanager
def saving(params: TransformersSettings, run: Run) -> Iterator[None]:
    """Say that the finished model is written, by what is done inside, and then that it is."""
    with phase(run.emit, "saving"):
        yield
        if processes.is_first():
            _keep_curves(params, run)
        processes.wait()
    run.emit(Phase(name=SAVED))


def _save(loaded: Loaded, params: TransformersSettings, run: Run) -> None:
    """Write the model: the first process, with the others where each has a share of it."""
    if not (processes.is_first() or processes.sharded()):
        return
    lora, model = adapter_of(params), loaded.model
    if lora and lora.merge_adapter:
        model = merged(loaded, params, run.work / "adapter")
    if model is not None:
        save_model(model, run.output, loaded.precision.checkpoint, loaded.begun)


@contextmanager
def checkpoints_as_in_memory(model: Any) -> Iterator[None]:
    """Let checkpoints name the weights as the model in memory does.

    transformers (5.23) writes them by the names that a model was published with, which may be
    older, and its Trainer puts them back without translating: what is called something else now,
    all layers of a ViT for one, would be lost in silence on resuming and in the best model.
    """
    if not isinstance(model, PreTrainedModel) or hasattr(model, "peft_config"):
        # An adapter has names of its own, and another library reads what it has written.
        yield
        return
    model.save_pretrained = partial(model.save_pretrained, save_original_format=False)
    try:
        yield
    finally:
        del model.save_pretrained


def _callbacks(trainer: Trainer, params: TransformersSettings, run: Run) -> list[TrainerCallback]:
    rows = None if _counts_tokens(trainer) else len(trainer.train_dataset)
    found = [EventCallback(run.emit, run.unit, rows), KeepLast(params.save_total_limit)]
    found += _curves(params, run)
    if params.save_minutes and params.save_strategy != "no":
        found.append(SaveInTime(params.save_minutes * 60))
    if run.last_checkpoint is not None:
        found.append(AtThisRate())
    found.append(StopWhenAsked(run.stop))
    if trainer.args.load_best_model_at_end and isinstance(params, EarlyStopping):
        found += _stopping_early(params)
    return found


def _stopping_early(params: EarlyStopping) -> Iterator[TrainerCallback]:
    if params.early_stopping_patience is not None:
        how = (params.early_stopping_patience, params.early_stopping_threshold)
        yield EarlyStoppingCallback(*how)


def _judge_by(measure: Measure, args: TrainingArguments) -> None:
    """Let `measure` decide which model is the best, and when a training no longer gets better.

    It is the validation loss if no validation yields `measure`.
    """
    if not measure.name.startswith(VALID):
        measure = Measure(f"{VALID}loss")
    args.metric_for_best_model = measure.name.replace(VALID, "eval_", 1)
    args.greater_is_better = measure.better == "higher"


def _counts_tokens(trainer: Trainer) -> bool:
    return bool(trainer.args.include_num_input_tokens_seen != "no")


def _curves(params: TransformersSettings, run: Run) -> list[TrainerCallback]:
    if params.log != "tensorboard" or not processes.is_first():
        return []
    from worker.engine import curves  # takes half a second that few need

    return [curves.Curves(run.work / curves.FOLDER)]


def _keep_curves(params: TransformersSettings, run: Run) -> None:
    for link in (run.output / "wandb").glob("*"):
        if link.is_symlink():  # to what is beside it; a repo holds no links
            link.unlink()
    if params.log == "tensorboard":
        from worker.engine import curves

        curves.keep(run.work, run.output)
