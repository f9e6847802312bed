"""Dropout, and whatever else of a model is left to chance while it trains."""

from __future__ import annotations

import re
from typing import Any

import torch

ALIKE = 1e-3
"""Most that two answers to the same tokens differ, in standard deviations, where chance has no part
in them. Dropout of 0.01 in a single layer makes it 1e-2 and more."""

_RATE = re.compile(r"drop", re.IGNORECASE)
"""In the name of an attribute that holds a rate of dropout: `attention_dropout`, `resid_pdrop`."""


def without_dropout(model: Any) -> None:
    """Let a model say the same twice: what it is compared with is asked without dropout.

    That of an adapter comes later, and stays. The configuration, which is saved with the model,
    keeps its rates: layers that look them up there while they compute (GPT Neo's attention) do so.
    """
    for layer in model.modules():
        if isinstance(layer, torch.nn.modules.dropout._DropoutNd):
            layer.p = 0.0
        for name, value in vars(layer).items():
            if isinstance(value, float) and _RATE.search(name):
                setattr(layer, name, 0.0)


@torch.no_grad()
def repeats_itself(model: Any, ids: torch.Tensor) -> bool:
    """Whether a model that trains says the same of `ids` (rows, tokens) twice.

    It does not where it has dropout, inside layers or in the attention, or noise of another kind.
    """
    training = model.training
    model.train()
    try:
        with torch.random.fork_rng():
            one, other = (_logits(model, ids, seed) for seed in (0, 1))
    finally:
        model.train(training)
    return bool((one - other).abs().max() <= ALIKE * one.std())


def _logits(model: Any, ids: torch.Tensor, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    logits: torch.Tensor = model(input_ids=ids).logits.float()
    return logits
