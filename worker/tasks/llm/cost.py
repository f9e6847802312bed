"""What training a decoder costs: memory and arithmetic, from its `config.json` alone.

Memory is what `worker.footprint` makes of the weights, of activations (`worker.families.decoder`)
and of logits, which the loss holds once. The machine asks here as the check does.
Measured peaks on a CPU were 1.0 of `expected` for all weights (SmolLM2-135M, rows of 512: 3.5 GB;
16 M parameters, 4 rows of 512: 1.4 GB) and 1.04 for LoRA on rows of 1,024 (3.6 GB).
"""

from __future__ import annotations

from dataclasses import replace

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
from worker.tasks.llm.params import LlmParams

BUSY_TOKENS = 2**14
"""Tokens of a pass beyond which a GPU gets no faster."""

COPIED = 3.5
"""How often a loss that copies them holds logits, where ours holds them once: 14 bytes of each."""


def trained_parameters(params: LlmParams, facts: ModelFacts) -> int:
    """Return how many parameters move: all of them, or an adapter's."""
    return params.lora_r * Shape.of(facts.config).adapted if params.peft else facts.parameters


def footprint(
    params: LlmParams, facts: ModelFacts, memory: float | None = None, predicted: float = 1.0
) -> Footprint:
    """Return the memory training takes on one device, in bytes; logits of a share of the tokens.

    Activations are kept where they fit in `memory` and recomputed otherwise, or where `memory` is
    not given and nobody forbids it: then the answer is the least that training can do with.
    """
    checkpointing = recomputes(params, facts, memory, predicted)
    return _footprint(params, facts, predicted, checkpointing=checkpointing)


def recomputes(
    params: LlmParams, facts: ModelFacts, memory: float | None, predicted: float = 1.0
) -> bool:
    """Return whether activations are recomputed: not where keeping all fits in `memory` bytes."""
    if params.disable_gradient_checkpointing:
        return False
    return memory is None or _footprint(params, facts, predicted, checkpointing=False).high > memory


def enlarged(params: LlmParams, facts: ModelFacts, memory: float) -> LlmParams:
    """Return settings that take a step's rows in the fewest passes that fit in `memory` bytes.

    Not where activations would then have to be recomputed, nor in more than `BUSY_TOKENS`.
    """
    rows, passes = params.batch_size, params.gradient_accumulation
    for together in (n for n in range(passes, 1, -1) if passes % n == 0):
        larger = params.model_copy(
            update={"batch_size": rows * together, "gradient_accumulation": passes // together}
        )
        tokens = larger.batch_size * larger.within(facts.config).row_tokens
        if (
            tokens <= BUSY_TOKENS
            and _footprint(larger, facts, 1.0, checkpointing=False).high <= memory
        ):
            return larger
    return params


def _footprint(
    params: LlmParams, facts: ModelFacts, predicted: float, *, checkpointing: bool
) -> Footprint:
    params, shape = params.within(facts.config), Shape.of(facts.config)
    moving = trained_parameters(params, facts)
    tokens = params.batch_size * params.row_tokens
    mixed = params.mixed_precision is not None or facts.bytes_per_parameter <= HALF
    activations = activation_bytes(params, shape, mixed=mixed, checkpointing=checkpointing)
    logits = predicted * shape.vocabulary * LOGIT
    own = FULL * moving if params.peft else 0.0  # an adapter's weights, beside the model's
    each, states = stored_bytes(params, facts), kept_bytes(params, shape, moving)
    found = footprint_of(
        weights=facts.parameters * each + own,
        gradients=FULL * moving,
        states=states,
        kept=tokens * (activations + logits),
        least=0.6,
        passes=params.gradient_accumulation,
        explained=explained(params, checkpointing=checkpointing),
    )
    # An adapter is small, and every process has it whole.
    divided = facts.parameters * each + (0.0 if params.peft else FULL * moving + states)
    together = put_together(params, facts, moving, states)
    return replace(found, sharded=divided, gathered=gathered(shape, each), together=together)


def flops(params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
    """Return the floating point operations of the whole training, validation included."""
    passes = 1.0
    if data.rows and data.valid_rows:
        once_more = 1 + 1 / max(1.0, params.epochs)  # before it is trained
        passes += once_more * data.valid_rows / data.rows / BACKWARD_SHARE
    return flops_of(params, facts, _tokens(params, data)) * passes


def _tokens(params: LlmParams, data: DataReport) -> int:
    """Return the tokens of the whole training."""
    if not params.max_steps:
        return int(data.units * params.epochs)
    row = params.row_tokens if params.packing else data.units / max(1, data.rows)
    return int(data.steps * params.batch_size * params.gradient_accumulation * row)


def flops_of(params: LlmParams, facts: ModelFacts, tokens: int) -> float:
    """Return the floating point operations to train on so many tokens, attention included.

    6 a parameter and token for all weights, 4 where the base is frozen (Kaplan et al. 2020,
    section 2.1), a third more where activations are recomputed is left to the measured speed.
    """
    shape = Shape.of(facts.config)
    each = 4 if params.peft else 6
    scores = each * shape.layers * shape.hidden * params.row_tokens
    return float(tokens) * (each * facts.parameters + scores)
