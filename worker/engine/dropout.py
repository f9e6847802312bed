"""Dropout of a model, left out where what it says is compared."""

from __future__ import annotations

import re
from typing import Any

import torch

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
