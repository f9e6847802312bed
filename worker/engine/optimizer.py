"""Optimizers that transformers does not build by itself: low-rank ones, and LoRA+.

All others are left to transformers, by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from transformers import Trainer
from transformers.pytorch_utils import Conv1D

from worker.common import EVERY_LINEAR, EVERY_MATRIX, Optimisation
from worker.engine.low_rank import LowRankAdamW
from worker.engine.model import adapter_of
from worker.errors import BadConfig


def optimizer_for(trainer: Trainer, params: Optimisation) -> Any:
    """Return the optimizer where it is one of ours; none where transformers builds it.

    Raises `BadConfig` where there is no matrix to project.
    """
    lora = adapter_of(params)
    faster = lora.loraplus_lr_ratio if lora else None
    if not params.low_rank and faster is None:
        return None
    groups = _groups(trainer, params, faster or 1.0)
    if not params.low_rank:
        kind, how = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
        return kind(groups, **how)
    if lora is None and not any(group.get("rank") for group in groups):
        raise BadConfig(
            f"{params.optimizer} has no matrix to project: none of "
            f"{params.optim_target_modules} that is trained is larger than rank "
            f"{params.optim_rank}.",
            fix="--optimizer adamw_torch, or a smaller --optim-rank",
        )
    args = trainer.args
    betas = (args.adam_beta1, args.adam_beta2)
    bits = 8 if "8bit" in params.optimizer else 32
    return LowRankAdamW(
        groups, lr=args.learning_rate, betas=betas, eps=args.adam_epsilon, bits=bits
    )


def _groups(trainer: Trainer, params: Optimisation, faster: float) -> list[dict[str, Any]]:
    """Return the trained weights in groups that differ in decay, learning rate or projection."""
    model, args = trainer.model, trainer.args
    decaying = set(trainer.get_decay_parameter_names(model))
    projected = set(_projected(model, params)) if params.low_rank else set()
    found: dict[tuple[bool, bool, bool], list[Any]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            key = (name in decaying, ".lora_B." in name, name in projected)
            found.setdefault(key, []).append(weight)
    basis = {
        "rank": params.optim_rank,
        "gap": params.update_proj_gap,
        "scale": params.step_scale,
        "method": params.optimizer.partition("_")[0],
    }
    return [
        {
            "params": weights,
            "weight_decay": args.weight_decay if decays else 0.0,
            "lr": args.learning_rate * (faster if second else 1.0),
            **(basis if low else {}),
        }
        for (decays, second, low), weights in found.items()
    ]


def _projected(model: Any, params: Optimisation) -> Iterator[str]:
    """Yield the names of the trained matrices that are projected: both sides exceed the rank."""
    wanted = [name.strip() for name in params.optim_target_modules.split(",")]
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, nn.Parameter) or weight.ndim != 2 or not weight.requires_grad:  # noqa: PLR2004
            continue
        linear = isinstance(module, nn.Linear | Conv1D) and module is not head
        asked = (
            wanted == [EVERY_MATRIX]
            or (wanted == [EVERY_LINEAR] and linear)
            or (linear and any(word in name for word in wanted))
        )
        if asked and min(weight.shape) > params.optim_rank:
            yield f"{name}.weight"
