"""What training a model of text costs: memory and arithmetic, from its `config.json` alone.

What layers keep of a token was counted with torch's hooks for saved tensors, in 32 bits, as
multiples of the width H where the inner layer is 4 H: 18.8 (BERT), 18.5 (RoBERTa), 17.8
(DistilBERT), 18.4 (ELECTRA); with gates inside 26.6 (ModernBERT) and 26.8 (Llama), with two more
ways to attend 47 (DeBERTa). Under bfloat16 it is 0.63 to 0.81 of that. Attention with dropout keeps
3 numbers a head and pair of tokens on a CPU, and nothing on a GPU, whose kernels keep no scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.common import Lora
from worker.families.text.params import TextSettings
from worker.families.text.shape import Shape
from worker.footprint import FULL, HALF, footprint_of, weight_bytes
from worker.optimizers import state_bytes
from worker.task import DataReport, Footprint, ModelFacts

MIXED_KEPT = 3.2
"""Bytes kept of a number under mixed precision: some layers stay in 32 bits."""

SCORES = 3.0
"""Numbers kept of a head and a pair of tokens where attention is not in one kernel."""

STEPWISE = frozenset({"deberta", "deberta-v2", "mpnet", "xlnet", "funnel", "tapas", "layoutlm"})
"""Kinds whose attention is always taken step by step."""


def footprint(
    params: TextSettings, facts: ModelFacts, longest: int, *, times: float = 1.0
) -> Footprint:
    """Return the memory training takes on one device, in bytes.

    `longest` are the tokens of the longest row, which is as long as the model sees where it is 0;
    a model that reads a row several times, as one for pairs of sentences does, keeps `times` as
    much.
    """
    lora = params if isinstance(params, Lora) and params.peft else None
    mixed = params.mixed_precision is not None or facts.bytes_per_parameter <= HALF
    moving = lora.lora_r * Shape.of(facts.config).adapted if lora else facts.parameters
    row = min(longest or params.seen(facts.config), params.seen(facts.config))
    each = MIXED_KEPT if mixed else FULL
    kept = times * params.batch_size * row * each * _kept(facts.config, row)
    weights = weight_bytes(facts, adapter=lora is not None, mixed=mixed)
    own = FULL * moving if lora else 0.0  # an adapter's weights, beside the model's
    trains = f"LoRA r{lora.lora_r}" if lora else "all weights in 32 bits"
    batch = f"batches of {params.batch_size} with {row:,} tokens"
    return footprint_of(
        weights=facts.parameters * weights + own,
        gradients=FULL * moving,
        states=moving * state_bytes(params.optimizer),
        kept=kept,
        least=0.5,
        spread=0.3 + _scores(facts.config, row) / _kept(facts.config, row),
        passes=params.gradient_accumulation,
        explained=", ".join(filter(None, (trains, params.mixed_precision, batch))),
    )


def flops(
    params: TextSettings, facts: ModelFacts, data: DataReport, *, times: float = 1.0
) -> float:
    """Return the floating point operations of the whole training, validation included.

    A multiplication and its addition are two; the way back costs twice the way there, and once
    where the weights are frozen (Kaplan et al. 2020, section 2.1).
    """
    if not data.rows:
        return 0.0
    row = (data.tokens or data.rows * params.seen(facts.config)) / data.rows
    once = 2 * times * row * multiplications(facts, row)
    seen = data.steps * params.batch_size * params.gradient_accumulation
    frozen = getattr(params, "peft", False)
    return once * ((2 if frozen else 3) * seen + seen / data.rows * data.valid_rows)


def multiplications(facts: ModelFacts, row: float) -> float:
    """Return the multiplications of a token's way through the model, in rows of so many tokens.

    Each weight is one, but for the embeddings, which are looked up; a model may use its layers
    more than once (ALBERT), and then their sizes tell more than its parameters. Beside them each
    token is compared with each other, and takes something of each.
    """
    shape = Shape.of(facts.config)
    block = shape.hidden * (shape.attention + shape.hidden + 2 * shape.inner)
    weights = facts.parameters - shape.vocabulary * shape.hidden
    return max(shape.layers * block, weights) + 2 * shape.layers * row * shape.hidden


def _kept(config: Mapping[str, Any], row: int) -> float:
    """Return the numbers that all layers keep of a token, in rows of so many tokens."""
    shape, kind = Shape.of(config), str(config.get("model_type"))
    gated = "rms_norm_eps" in config or "modernbert" in kind or "glu" in str(config)
    kept = 11 * shape.hidden + (4 if gated else 2) * shape.inner
    if "deberta" in kind:
        kept += 28 * shape.hidden
    return shape.layers * kept + (_scores(config, row) if kind in STEPWISE else 0.0)


def _scores(config: Mapping[str, Any], row: int) -> float:
    """Return the numbers that attention keeps of a token where it is taken step by step."""
    shape = Shape.of(config)
    return SCORES * shape.layers * shape.heads * row
