"""What training a vision language model costs: memory and arithmetic, from its `config.json` alone.

The decoder is that of `worker.families.decoder`, image tokens and words alike. The vision tower,
a transformer as well, keeps nothing while it is frozen, and computes its way there alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from worker.families.decoder import (
    BACKWARD_SHARE,
    LOGIT,
    activation_bytes,
    explained,
    gathered,
    kept_bytes,
    put_together,
    stored_bytes,
)
from worker.families.text.shape import Shape
from worker.footprint import FULL, HALF, footprint_of
from worker.task import DataReport, Footprint, ModelFacts
from worker.tasks.vlm.params import VlmParams

USUAL_ROW = 512
"""Tokens of an example where nobody has counted."""


def vision_parameters(facts: ModelFacts) -> int:
    """Return the parameters of the layers that see: 4 C² and 2 C inner each; 0 where none tells."""
    vision = facts.config.get("vision_config")
    if not vision:
        return 0
    seen = Shape.of(_named(vision))
    each = 4 * seen.hidden**2 + 2 * seen.hidden * seen.inner
    return min(seen.layers * each, facts.parameters // 2)


def _named(vision: Any) -> dict[str, Any]:
    """Return the sizes of a vision tower by the names that decoders have for them."""
    layers = vision.get("num_hidden_layers") or vision.get("depth")
    return {**vision, "num_hidden_layers": layers, "hidden_size": _width(vision)}


def _width(vision: Any) -> Any:
    return vision.get("embed_dim") or vision.get("hidden_size")


def trained_parameters(params: VlmParams, facts: ModelFacts) -> int:
    """Return how many parameters move: an adapter's, or all but those that see."""
    vision = facts.config.get("vision_config")
    if params.peft:
        sees = Shape.of(_named(vision)).adapted if vision and params.train_vision else 0
        return params.lora_r * (Shape.of(facts.config).adapted + sees)
    return facts.parameters - (0 if params.train_vision else vision_parameters(facts))


def footprint(
    params: VlmParams, facts: ModelFacts, row: int, memory: float | None = None
) -> Footprint:
    """Return the memory training takes on one device, in bytes, with examples of `row` tokens.

    Activations are kept where they fit in `memory`, and recomputed otherwise, or where it is not
    given: then the answer is the least that training can do with.
    """
    checkpointing = recomputes(params, facts, row, memory)
    return _footprint(params, facts, row, checkpointing=checkpointing)


def recomputes(params: VlmParams, facts: ModelFacts, row: int, memory: float | None) -> bool:
    """Return whether activations are recomputed: not where keeping all fits in `memory` bytes."""
    if params.disable_gradient_checkpointing:
        return False
    return memory is None or _footprint(params, facts, row, checkpointing=False).high > memory


def _footprint(params: VlmParams, facts: ModelFacts, row: int, *, checkpointing: bool) -> Footprint:
    shape, moving = Shape.of(facts.config), trained_parameters(params, facts)
    mixed = params.mixed_precision is not None or facts.bytes_per_parameter <= HALF
    each, states = stored_bytes(params, facts), kept_bytes(params, shape, moving)
    token = activation_bytes(params, shape, mixed=mixed, checkpointing=checkpointing)
    seen = facts.config.get("vision_config") if params.train_vision else None
    if seen:
        token += activation_bytes(
            params, Shape.of(_named(seen)), mixed=mixed, checkpointing=checkpointing
        )
    own = FULL * moving if params.peft else 0.0  # an adapter's weights, beside the model's
    frozen = "" if params.train_vision else "vision frozen"
    found = footprint_of(
        weights=facts.parameters * each + own,
        gradients=FULL * moving,
        states=states,
        kept=params.batch_size * row * (token + LOGIT * shape.vocabulary),
        least=0.4,  # most logits are those of images and questions, which are not asked for
        passes=params.gradient_accumulation,
        explained=", ".join(filter(None, (explained(params, checkpointing=checkpointing), frozen))),
    )
    divided = facts.parameters * each + (0.0 if params.peft else FULL * moving + states)
    together = put_together(params, facts, moving, states)
    return replace(found, sharded=divided, gathered=gathered(shape, each), together=together)


def flops(params: VlmParams, facts: ModelFacts, data: DataReport) -> float:
    """Return the floating point operations of the whole training, validation included.

    A parameter and token of the decoder takes 6, or 4 where it is frozen beside an adapter (Kaplan
    et al. 2020, section 2.1). The tower sees as many patches as there are tokens, at the least: 2 a
    parameter, three times that where it is trained.
    """
    seeing = vision_parameters(facts)
    tokens = data.units / max(1, data.rows)  # of an example
    examples = data.steps * params.batch_size * params.gradient_accumulation
    shape, each = Shape.of(facts.config), 4 if params.peft else 6
    once = each * (facts.parameters - seeing + shape.layers * shape.hidden * tokens)
    once += (6 if params.train_vision else 2) * seeing
    validations = data.valid_rows * (1 + params.epochs) / BACKWARD_SHARE
    return float(tokens * once * (examples + validations))
