"""Precision, and what is done to need less memory."""

from __future__ import annotations

from typing import Annotated, Literal

from worker.params import Flag, GoesOn, Params


class Memory(Params):
    """Precision and memory."""

    mixed_precision: Literal["fp16", "bf16"] | None = None
    """Precision of the forward pass; none keeps that of the checkpoint where it trains stably."""

    quantization: Annotated[Literal["int4", "int8"] | None, Flag("--quantize")] = None
    """Load the base model in fewer bits; needs --peft."""

    disable_gradient_checkpointing: Annotated[bool, GoesOn(), Flag("--disable-gc")] = False
    """Keep all activations: faster, more memory."""

    auto_find_batch_size: Annotated[bool, GoesOn()] = False
    """Make the batch size smaller, a tenth at a time, until it fits in memory."""

    @property
    def precision_flags(self) -> tuple[str, str]:
        """What to type without a GPU, and for one without bfloat16."""
        return "--mixed-precision none", "--mixed-precision fp16"
