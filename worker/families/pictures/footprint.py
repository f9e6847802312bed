"""Memory and work of a training on whole images, before it runs.

Memory is what `worker.footprint` makes of the weights and of what the layers keep of a batch: see
`cost`.
"""

from __future__ import annotations

from worker.families.pictures.cost import activations, multiplications, size_of
from worker.families.pictures.settings import WholeImages
from worker.footprint import FULL, HALF, footprint_of, weight_bytes
from worker.optimizers import state_bytes
from worker.task import DataReport, Footprint, ModelFacts

ADAPTER_SHARE = 0.0012
"""Parameters of an adapter a rank and parameter of the model: 2 C of them for C² with C = 768, and
more than half of the layers' inputs kept once more."""

MIXED_KEPT = 2.5
"""Bytes kept of a number under mixed precision, where some layers stay in 32 bits: ViT-B/16."""


def footprint(params: WholeImages, facts: ModelFacts) -> Footprint:
    """Return the memory training takes on one device, in bytes."""
    mixed = params.mixed_precision is not None or facts.bytes_per_parameter <= HALF
    moving = facts.parameters * (min(1.0, ADAPTER_SHARE * params.lora_r) if params.peft else 1)
    kept = activations(facts.config, size_of(facts.config), facts.parameters) * params.batch_size
    kept *= (MIXED_KEPT if mixed else FULL) * (1.3 if params.peft else 1)
    trains = f"LoRA r{params.lora_r}" if params.peft else "all weights in 32 bits"
    explained = (trains, params.mixed_precision, f"batches of {params.batch_size}")
    own = FULL * moving if params.peft else 0.0  # an adapter's weights, beside the model's
    return footprint_of(
        weights=facts.parameters * weight_bytes(facts, adapter=params.peft, mixed=mixed) + own,
        gradients=FULL * moving,
        states=moving * state_bytes(params.optimizer),
        kept=kept,
        least=0.5,
        spread=0.4,
        passes=params.gradient_accumulation,
        explained=", ".join(filter(None, explained)),
    )


def flops(params: WholeImages, facts: ModelFacts, data: DataReport) -> float:
    """Return the floating point operations of the whole training, validation included.

    A multiplication and its addition are two; the way back costs twice the way there, and once
    where the weights are frozen (Kaplan et al. 2020, section 2.1).
    """
    once = 2 * multiplications(facts.config, size_of(facts.config), facts.parameters)
    seen = data.steps * params.batch_size * params.gradient_accumulation
    epochs = seen / data.rows if data.rows else 0.0
    return once * ((2 if params.peft else 3) * seen + epochs * data.valid_rows)
