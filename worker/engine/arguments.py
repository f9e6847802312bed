"""A task's settings as transformers' training arguments, and what else a trainer is made of."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sized
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from worker.common import LOW_RANK, TransformersSettings, keeps_the_best
from worker.engine import devices, processes
from worker.engine.model import Loaded
from worker.engine.schedule import scheduler_arguments, warmup_steps
from worker.errors import BadConfig
from worker.launch import share
from worker.task import Run

REPORTS = 50
"""Losses reported over a training, about, where nobody says how often."""

_LEFT_OUT = re.compile(r"n(um)?_.*experts|moe_num_experts|(vision|audio)_config")
"""Settings of models of which a pass may leave some weights out."""

EVALUATIONS = 10
"""Evaluations over a training with eval_strategy steps."""


def trainer_parts(
    params: TransformersSettings,
    run: Run,
    loaded: Loaded,
    train: Sized,
    valid: Sized | None,
    *,
    checkpointing: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return the model, arguments and rows that a `Trainer` takes, by the names it gives them.

    Without rows in `valid` nothing is validated. `more` is as in `training_arguments`, which raises
    what this does.
    """
    valid = valid or None
    return {
        "model": loaded.model,
        "args": training_arguments(
            params,
            run.work / "checkpoints",
            steps=params.steps(len(train)),
            autocast=loaded.precision.autocast,
            checkpointing=checkpointing,
            validates=valid is not None,
            **{
                "ddp_find_unused_parameters": leaves_out_weights(loaded.model.config),
                **tracked(params, run),
                **more,
            },
        ),
        "train_dataset": train,
        "eval_dataset": valid,
    }


def judged_first(params: TransformersSettings, run: Run, held: Sized) -> bool:
    """Return whether a model is judged by `held` before it is trained, so that a card tells both.

    One that goes on has been.
    """
    goes_on = run.last_checkpoint is not None or run.stop.is_set()
    return len(held) > 0 and params.eval_strategy != "no" and not goes_on


def training_arguments(
    params: TransformersSettings,
    folder: Path,
    *,
    steps: int,
    autocast: str | None,
    checkpointing: bool,
    validates: bool,
    kind: type[TrainingArguments] = TrainingArguments,
    **more: Any,
) -> TrainingArguments:
    """Return the arguments of a training of `steps` steps that leaves checkpoints in `folder`.

    `more` outranks what follows from `params`; `kind` is the class that the trainer wants, such as
    TRL's `DPOConfig`. Raises `BadConfig` where a tracker is missing.
    """
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        **_optimisation(params, steps),
        **_numbers(autocast, checkpointing=checkpointing),
        **_watching(params, steps, validates=validates),
        "remove_unused_columns": False,
    }
    return kind(**{**settings, **more})


def leaves_out_weights(config: Any) -> bool:
    """Whether a pass may not come by all weights: those of experts, or of what sees and hears.

    Only then torch has to look for them after each pass (`find_unused_parameters`).
    """
    named = {**vars(config), **vars(config.get_text_config())}
    return any(value and _LEFT_OUT.fullmatch(name) for name, value in named.items())


def _optimisation(params: TransformersSettings, steps: int) -> dict[str, Any]:
    """Return what decides how the weights move."""
    rows, passes = share_of_step(params)
    return {
        "num_train_epochs": params.epochs,
        "max_steps": params.max_steps or -1,
        "per_device_train_batch_size": rows,
        "per_device_eval_batch_size": params.batch_size,
        "gradient_accumulation_steps": passes,
        "auto_find_batch_size": params.auto_find_batch_size,
        "learning_rate": params.peak_lr,
        "lr_scheduler_type": params.scheduler,
        "lr_scheduler_kwargs": scheduler_arguments(params.scheduler, steps, params.cosine_cycles),
        "warmup_steps": warmup_steps(steps, params.warmup_ratio),
        "weight_decay": params.weight_decay,
        "max_grad_norm": params.max_grad_norm,
        "neftune_noise_alpha": params.neftune_noise_alpha,
        "optim": _optimizer(params.optimizer),
        "train_sampling_strategy": "sequential" if params.in_order else "random",
        "seed": params.seed,
        "data_seed": params.seed,
    }


def _numbers(autocast: str | None, *, checkpointing: bool) -> dict[str, Any]:
    """Return what decides where numbers are kept, how large they are, and for how long."""
    gpu = devices.device() == "cuda"
    return {
        "bf16": autocast == "bf16",
        "fp16": autocast == "fp16",
        "use_cpu": devices.device() == "cpu",
        "activation_checkpointing": checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": False} if checkpointing else None,
        "dataloader_pin_memory": gpu,
        "accelerator_config": {"non_blocking": gpu},
    }


def _watching(params: TransformersSettings, steps: int, *, validates: bool) -> dict[str, Any]:
    """Return what is reported, validated and kept, and when."""
    chosen = max(1, min(10, steps // REPORTS))
    settings: dict[str, Any] = {
        "logging_steps": chosen if params.logging_steps == -1 else params.logging_steps,
        "logging_nan_inf_filter": False,
        "eval_strategy": params.eval_strategy if validates else "no",
        "eval_steps": max(1, steps // EVALUATIONS),
        "save_strategy": params.save_strategy,
        "save_steps": params.save_steps,
        "save_total_limit": None,  # `KeepLast` deletes them, once the newest is told
        "report_to": trackers(params.log),
        "save_only_model": processes.sharded(),  # until `LeanTrainer` has been made
        "disable_tqdm": True,
    }
    if settings["save_strategy"] == "best":
        settings["metric_for_best_model"] = "loss"  # until `fit` says by which measure
    if settings["eval_strategy"] != "no" and keeps_the_best(params):
        settings |= _keeping_the_best(settings)
    return settings


def tracked(params: TransformersSettings, run: Run) -> dict[str, Any]:
    """Return where a tracker's run goes and what it is called there."""
    project = run.project or "hubtrain"
    if params.log == "wandb":
        os.environ.setdefault("WANDB_PROJECT", project)  # transformers asks nothing else
    return {
        "run_name": run.job_id or None,
        "project": os.environ.get("TRACKIO_PROJECT") or project,
        "trackio_space_id": _trackio_space(),
        "trackio_static_space_id": False,  # a copy that everybody could read
        "hub_private_repo": True,  # that Space, which would be public
    }


def share_of_step(params: TransformersSettings) -> tuple[int, int]:
    """Return the rows of a pass and the passes that this process takes of a step.

    Raises `BadConfig` where the rows of a step cannot be divided among the processes.
    """
    found = share(params.batch_size, params.gradient_accumulation, processes.count())
    if found is None:
        step = params.batch_size * params.gradient_accumulation
        raise BadConfig(
            f"A step of {step} rows cannot be divided among {processes.count()} processes.",
            fix=f"--gradient-accumulation {processes.count()}",
        )
    return found


def _keeping_the_best(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what loads the best model at the end: a checkpoint with each validation, or with each
    that is better than all before."""
    found = {"load_best_model_at_end": True}  # `fit` says by which measure
    if settings["save_strategy"] == "best":
        return found
    when = {"save_strategy": settings["eval_strategy"], "save_steps": settings["eval_steps"]}
    return found | when


def _optimizer(name: str) -> str:
    """Return the fused twin of plain AdamW: the same arithmetic in one pass over the weights.

    Low-rank ones are built by `worker.engine.optimizer`, and not by what they are called here.
    """
    return "adamw_torch_fused" if name in {"adamw_torch", *LOW_RANK} else name


def _trackio_space() -> str | None:
    """Return the Space that trackio reports to: the one that is named, or one of whose token it is.

    None without a token: then what is measured stays on this machine.
    """
    return os.environ.get("TRACKIO_SPACE_ID") or ("trackio" if os.environ.get("HF_TOKEN") else None)


def trackers(log: str) -> list[str]:
    """Return the trackers of transformers to report to; `curves` writes those of TensorBoard.

    Raises `BadConfig` where one is not installed.
    """
    if log == "none":
        return []
    ours = log == "tensorboard"
    if find_spec("tensorboardX" if ours else log) is None:
        raise BadConfig(f"{log} is not installed on this machine.", fix="--log none")
    return [] if ours else [log]
