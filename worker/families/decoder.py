"""What a decoder keeps in memory while it is trained, by its `Shape` alone.

Activations are those of Korthikanti et al. 2022, "Reducing Activation Recomputation", equation 1,
with the attention of `sdpa`, which keeps no score matrix. Light.
"""

from __future__ import annotations

import math
from typing import Protocol

from worker.facts import ModelFacts
from worker.families.text.shape import Shape
from worker.footprint import FULL, HALF, QUANTIZED, weight_bytes
from worker.optimizers import state_bytes

LOGIT = 4.0
"""Bytes of a predicted token and word: `engine.loss` holds logits once, in 16 or 32 bits, and works
on some of them at a time."""


ADAPTER_BYTES = 100e6
"""Bytes of an adapter that is pushed, for the estimate of the price."""

BACKWARD_SHARE = 3.0
"""A training pass costs as much as so many passes over validation rows."""


class Tuning(Protocol):
    """The settings that decide what is trained and in which precision: `worker.common` has them."""

    @property
    def peft(self) -> bool: ...
    @property
    def lora_r(self) -> int: ...
    @property
    def lora_dropout(self) -> float: ...
    @property
    def quantization(self) -> str | None: ...
    @property
    def mixed_precision(self) -> str | None: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def low_rank(self) -> bool: ...
    @property
    def optim_rank(self) -> int: ...
    @property
    def save_strategy(self) -> str: ...
    @property
    def merge_adapter(self) -> bool: ...


def gathered(shape: Shape, each: float) -> float:
    """Return the bytes of what is whole for a moment where the model is divided among processes.

    That is the layer that computes and the next, and what turns words to numbers and back.
    """
    layer = sum(math.prod(sides) for sides in shape.matrices)
    return each * (2 * layer + 2 * shape.vocabulary * shape.hidden)


def put_together(params: Tuning, facts: ModelFacts, moving: float, states: float) -> float:
    """Return the main memory that saving takes where processes divide the model, in bytes.

    A checkpoint has the trained weights in 32 bits and the optimizer's `states`; the finished
    model, and one that an adapter is merged into, are as they were published.
    """
    finished = facts.parameters * facts.bytes_per_parameter
    if params.peft:
        return max(FULL * moving + states, finished if params.merge_adapter else 0.0)
    return finished if params.save_strategy == "no" else FULL * facts.parameters + states


def kept_bytes(params: Tuning, shape: Shape, moving: float) -> float:
    """Return what the optimizer keeps of `moving` trained parameters, in bytes.

    Of a projected matrix a low-rank optimizer keeps two moments of `rank` times its longer side,
    and GaLore the basis of its shorter one.
    """
    if not params.low_rank:
        return moving * state_bytes(params.optimizer)
    each, rank = state_bytes(params.optimizer), params.optim_rank
    large = [] if params.peft else [sides for sides in shape.matrices if min(sides) > rank]
    basis = 4.0 if "galore" in params.optimizer else 0.0
    kept = sum(rank * (each * max(sides) + basis * min(sides)) for sides in large)
    whole = moving - shape.layers * sum(math.prod(sides) for sides in large)
    return max(0.0, whole) * each + shape.layers * kept


def stored_bytes(params: Tuning, facts: ModelFacts) -> float:
    """Return the bytes of one of the model's weights in memory."""
    if params.quantization:
        return QUANTIZED[params.quantization]
    mixed = params.mixed_precision is not None
    return weight_bytes(facts, adapter=params.peft, mixed=mixed)


def activation_bytes(params: Tuning, shape: Shape, *, mixed: bool, checkpointing: bool) -> float:
    """Return the bytes kept of one token, `mixed` where products are taken in 16 bits.

    Recomputing keeps the layers' inputs, and one layer whole while it is redone.
    """
    layer = _half_layer(params, shape) if mixed else FULL * _full_layer(params, shape)
    if checkpointing:
        return shape.layers * (HALF if mixed else FULL) * shape.hidden + layer
    return shape.layers * layer


def _half_layer(params: Tuning, shape: Shape) -> float:
    """Bytes that a layer keeps of one token in 16 bits, norms among them in 32.

    Beside an adapter the layers' inputs are kept for it alone, with dropout's mask.
    """
    layer = HALF * (10 * shape.hidden + 2 * shape.attention + 4 * shape.inner)
    if params.peft:
        layer -= HALF * (7 * shape.hidden + shape.inner)
        layer += (HALF + 1) * (6 * shape.hidden + shape.inner)
    return layer


def _full_layer(params: Tuning, shape: Shape) -> float:
    """Numbers that a layer keeps of one token in 32 bits, counted with torch's hooks.

    Dropout keeps its mask in 32 bits as well on a CPU, and each adapter an input of its own.
    """
    if not params.peft:
        return 7 * shape.hidden + shape.attention + 4 * shape.inner
    if not params.lora_dropout:
        return 5 * shape.hidden + shape.attention + 4 * shape.inner
    dropped = 6 * shape.hidden + shape.inner
    return 3 * shape.hidden + shape.attention + 3 * shape.inner + 2 * dropped


def explained(params: Tuning, *, checkpointing: bool) -> str:
    """Return what the memory rests on, in a few words."""
    bits = {"int4": "4-bit base", "int8": "8-bit base"}.get(params.quantization or "", "")
    parts = [
        f"LoRA r{params.lora_r}" if params.peft else "all weights in 32 bits",
        bits or (params.mixed_precision or ""),
        "checkpointing" if checkpointing else "no checkpointing needed",
    ]
    return ", ".join(filter(None, parts))
