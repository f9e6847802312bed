"""What training a decoder costs: memory and arithmetic, from its `config.json` alone.

Memory is what `worker.footprint` makes of the weights, of activations (Korthikanti et al. 2022,
"Reducing Activation Recomputation", equation 1, with the attention of `sdpa`, which keeps no score
matrix) and of logits, which the loss holds once. The machine asks here as the check does.
Measured peaks on a CPU were 1.0 of `expected` for all weights (SmolLM2-135M, rows of 512: 3.5 GB;
16 M parameters, 4 rows of 512: 1.4 GB) and 1.04 for LoRA on rows of 1,024 (3.6 GB).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from worker.footprint import FULL, HALF, footprint_of, weight_bytes
from worker.optimizers import state_bytes
from worker.task import DataReport, Footprint, ModelFacts
from worker.tasks.llm.params import LlmParams

BUSY_TOKENS = 2**14
"""Tokens of a pass beyond which a GPU gets no faster."""

LOGIT = 4.0
"""Bytes of a predicted token and word: `engine.loss` holds logits once, in 16 or 32 bits, and works
on some of them at a time."""

COPIED = 3.5
"""How often a loss that copies them holds logits, where ours holds them once: 14 bytes of each."""

ADAPTER_BYTES = 100e6
"""Bytes of an adapter that is pushed, for the estimate of the price."""

BACKWARD_SHARE = 3.0
"""A training pass costs as much as so many passes over validation rows."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a decoder that cost depends on."""

    hidden: int
    layers: int
    inner: int
    vocabulary: int
    attention: int
    """Width of queries, keys and values together."""

    cached: int = 0
    """Width of keys and values, which are kept of each token while an answer is written."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Return the sizes in a `config.json`, by any of the names architectures give them."""
        config = config.get("text_config") or config

        def first(*names: str, default: int) -> int:
            said = next((config[n] for n in names if config.get(n)), default)
            return int(max(said) if isinstance(said, list) else said)  # of each layer its own

        hidden = first("hidden_size", "n_embd", "d_model", default=2048)
        heads = first("num_attention_heads", "n_head", "num_heads", default=16)
        head = first("head_dim", default=max(1, hidden // heads))
        groups = first("num_key_value_heads", default=heads)
        return cls(
            hidden=hidden,
            layers=first("num_hidden_layers", "n_layer", "num_layers", default=24),
            inner=first("intermediate_size", "n_inner", "ffn_dim", default=4 * hidden),
            vocabulary=first("vocab_size", default=50_000),
            attention=head * (heads + 2 * groups),
            cached=2 * head * groups,
        )

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Sides of the linear layers of one block: queries, keys and values as one."""
        attention = ((self.attention, self.hidden), (self.hidden, self.hidden))
        return (*attention, *((self.inner, self.hidden),) * 3)

    @property
    def adapted(self) -> int:
        """Sum over the linear layers of their inputs and outputs: a LoRA of rank 1 has as many."""
        each = 2 * self.hidden + self.attention + self.hidden + 3 * (self.hidden + self.inner)
        return self.layers * (each + 2 * self.hidden)


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
    activations = _activation_bytes(params, shape, mixed=mixed, checkpointing=checkpointing)
    logits = predicted * shape.vocabulary * LOGIT
    own = FULL * moving if params.peft else 0.0  # an adapter's weights, beside the model's
    each, states = _weight_bytes(params, facts), kept_bytes(params, shape, moving)
    found = footprint_of(
        weights=facts.parameters * each + own,
        gradients=FULL * moving,
        states=states,
        kept=tokens * (activations + logits),
        least=0.6,
        passes=params.gradient_accumulation,
        explained=_explained(params, checkpointing=checkpointing),
    )
    # An adapter is small, and every process has it whole.
    divided = facts.parameters * each + (0.0 if params.peft else FULL * moving + states)
    return replace(found, sharded=divided, gathered=_gathered(shape, each))


def _gathered(shape: Shape, each: float) -> float:
    """Return the bytes of what is whole for a moment where the model is divided among processes.

    That is the layer that computes and the next, and what turns words to numbers and back.
    """
    layer = sum(math.prod(sides) for sides in shape.matrices)
    return each * (2 * layer + 2 * shape.vocabulary * shape.hidden)


def kept_bytes(params: LlmParams, shape: Shape, moving: float) -> float:
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


def _weight_bytes(params: LlmParams, facts: ModelFacts) -> float:
    if params.quantization:
        return {"int4": 0.65, "int8": 1.15}[params.quantization]
    mixed = params.mixed_precision is not None
    return weight_bytes(facts, adapter=params.peft, mixed=mixed)


def _activation_bytes(
    params: LlmParams, shape: Shape, *, mixed: bool, checkpointing: bool
) -> float:
    """Bytes kept of one token.

    Recomputing keeps the layers' inputs, and one layer whole while it is redone.
    """
    layer = _half_layer(params, shape) if mixed else FULL * _full_layer(params, shape)
    if checkpointing:
        return shape.layers * (HALF if mixed else FULL) * shape.hidden + layer
    return shape.layers * layer


def _half_layer(params: LlmParams, shape: Shape) -> float:
    """Bytes that a layer keeps of one token in 16 bits, norms among them in 32.

    Beside an adapter the layers' inputs are kept for it alone, with dropout's mask.
    """
    layer = HALF * (10 * shape.hidden + 2 * shape.attention + 4 * shape.inner)
    if params.peft:
        layer -= HALF * (7 * shape.hidden + shape.inner)
        layer += (HALF + 1) * (6 * shape.hidden + shape.inner)
    return layer


def _full_layer(params: LlmParams, shape: Shape) -> float:
    """Numbers that a layer keeps of one token in 32 bits, counted with torch's hooks.

    Dropout keeps its mask in 32 bits as well on a CPU, and each adapter an input of its own.
    """
    if not params.peft:
        return 7 * shape.hidden + shape.attention + 4 * shape.inner
    if not params.lora_dropout:
        return 5 * shape.hidden + shape.attention + 4 * shape.inner
    dropped = 6 * shape.hidden + shape.inner
    return 3 * shape.hidden + shape.attention + 3 * shape.inner + 2 * dropped


def _explained(params: LlmParams, *, checkpointing: bool) -> str:
    bits = {"int4": "4-bit base", "int8": "8-bit base"}.get(params.quantization or "", "")
    parts = [
        f"LoRA r{params.lora_r}" if params.peft else "all weights in 32 bits",
        bits or (params.mixed_precision or ""),
        "checkpointing" if checkpointing else "no checkpointing needed",
    ]
    return ", ".join(filter(None, parts))


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
