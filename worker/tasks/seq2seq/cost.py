"""What training an encoder and decoder costs: memory, arithmetic and the time that writing takes.

All of it from `config.json`. Of d numbers a place, h heads, an inner width f:

- multiplications of a place: 4 dA + 2 df (3 df where the MLP is gated) in a layer of the encoder,
  8 dA + 2 df in one of the decoder, which attends twice (A: width of the heads together), and d
  times the vocabulary where a word is chosen (Vaswani et al. 2017; Raffel et al. 2020)
- what is kept of a place for the way back is a rule of thumb, not a count. Against torch's hooks
  for saved tensors, in 32 bits, on models of three layers a side, it is 0.77 to 1.31 of what T5
  keeps, and 2.1 to 2.2 times what BART does, whose attention keeps no scores. Peaks of whole
  trainings, and the seconds that writing takes on a GPU, have not been measured
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.families.decoder import explained
from worker.footprint import FULL, HALF, QUANTIZED, footprint_of, weight_bytes
from worker.optimizers import state_bytes
from worker.task import DataReport, Footprint, ModelFacts
from worker.tasks.seq2seq.params import Seq2SeqParams

KEPT_ENCODER, KEPT_DECODER = 16.0, 26.0
"""Numbers kept of a place, a layer and unit of width, without those of the MLP's inner width."""

LOGITS = 3.0
"""How often the logits are held: as they come, their logarithms, and their gradient."""

ADAPTED_SHARE = 0.0011
"""Parameters of an adapter of rank 1 to all linear layers, of each parameter of the model."""

WRITTEN_SECONDS = 0.002
"""What a layer of the decoder takes for a token of a batch while a GPU waits: a guess."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of an encoder and a decoder that cost depends on."""

    hidden: int
    attention: int
    """Width of all heads together."""

    heads: int
    inner: int
    gates: int
    """Matrices of the MLP: two, or three of a gated one."""

    encoder: int
    """Layers."""

    decoder: int
    vocabulary: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Return the sizes in a `config.json`, by any of the names architectures give them."""
        part = config.get("encoder") if isinstance(config.get("encoder"), Mapping) else {}
        config = {**part, **config}  # type: ignore[dict-item]

        def first(*names: str, default: int) -> int:
            return int(next((config[name] for name in names if config.get(name)), default))

        hidden = first("d_model", "hidden_size", default=768)
        heads = first("num_heads", "encoder_attention_heads", "num_attention_heads", default=12)
        encoder = first("encoder_layers", "num_encoder_layers", "num_layers", default=0)
        encoder = encoder or first("num_hidden_layers", default=12)
        return cls(
            hidden=hidden,
            attention=heads * first("d_kv", "head_dim", default=max(1, hidden // heads)),
            heads=heads,
            inner=first("d_ff", "encoder_ffn_dim", "intermediate_size", default=4 * hidden),
            gates=3 if "gated" in str(config.get("feed_forward_proj")) else 2,
            encoder=encoder,
            decoder=first("decoder_layers", "num_decoder_layers", default=encoder),
            vocabulary=first("vocab_size", default=32_000),
        )

    def multiplications(self, read: float, written: float) -> float:
        """Return those of an example's way through the model, `read` and `written` in tokens."""
        attention, mlp = 4 * self.hidden * self.attention, self.gates * self.hidden * self.inner
        places = read * self.encoder * (attention + mlp)
        places += written * self.decoder * (2 * attention + mlp)
        return places + written * self.hidden * self.vocabulary

    def kept(self, read: float, written: float) -> float:
        """Return how many numbers are kept of an example for the way back, logits left out."""
        mlp = (self.gates + 1) * self.inner
        scores = (
            2 * self.heads * (self.encoder * read**2 + self.decoder * written * (written + read))
        )
        encoder = read * self.encoder * (KEPT_ENCODER * self.hidden + mlp)
        return encoder + written * self.decoder * (KEPT_DECODER * self.hidden + mlp) + scores


def footprint(params: Seq2SeqParams, facts: ModelFacts, memory: float | None) -> Footprint:
    """Return the memory training takes on one device, in bytes.

    Activations are recomputed where they would not fit in `memory`, or where that is not known and
    nobody forbids it.
    """
    return _footprint(params, facts, checkpointing=recomputes(params, facts, memory))


def recomputes(params: Seq2SeqParams, facts: ModelFacts, memory: float | None) -> bool:
    """Return whether activations are recomputed: not where keeping all fits in `memory` bytes."""
    if params.disable_gradient_checkpointing:
        return False
    return memory is None or _footprint(params, facts, checkpointing=False).high > memory


def _footprint(params: Seq2SeqParams, facts: ModelFacts, *, checkpointing: bool) -> Footprint:
    shape = Shape.of(facts.config)
    read, written = params.seen(facts.config), params.written(facts.config)
    mixed = params.mixed_precision is not None or facts.bytes_per_parameter <= HALF
    moving = facts.parameters * (min(1.0, ADAPTED_SHARE * params.lora_r) if params.peft else 1)
    number = HALF + 1 if mixed else FULL
    layers = shape.kept(read, written) * (1.3 if params.peft else 1)
    if checkpointing:  # what layers begin with, and one of them whole
        depth = max(1, shape.encoder + shape.decoder)
        layers = layers / depth + shape.hidden * (read * shape.encoder + written * shape.decoder)
    kept = number * layers + FULL * LOGITS * written * shape.vocabulary
    weight = QUANTIZED.get(params.quantization or "") or weight_bytes(
        facts, adapter=params.peft, mixed=mixed
    )
    own = FULL * moving if params.peft else 0.0  # an adapter's weights, beside the model's
    return footprint_of(
        weights=facts.parameters * weight + own,
        gradients=FULL * moving,
        states=moving * state_bytes(params.optimizer),
        kept=params.batch_size * kept,
        least=0.2,  # most texts are shorter
        spread=0.4,
        passes=params.gradient_accumulation,
        explained=explained(params, checkpointing=checkpointing),
    )


def flops(params: Seq2SeqParams, facts: ModelFacts, data: DataReport) -> float:
    """Return the floating point operations of the whole training, validation included.

    A multiplication and its addition are two; the way back costs twice the way there, and once
    where the weights are frozen (Kaplan et al. 2020, section 2.1).
    """
    read, written = params.seen(facts.config), params.written(facts.config)
    if data.rows and data.tokens:  # most texts are shorter
        shorter = data.tokens / data.rows / (read + written)
        read, written = round(shorter * read), round(shorter * written)
    once = 2 * Shape.of(facts.config).multiplications(read, written)
    seen = data.steps * params.batch_size * params.gradient_accumulation
    return once * ((2 if params.peft else 3) * seen + validations(params, data) * data.valid_rows)


def seconds(params: Seq2SeqParams, facts: ModelFacts, data: DataReport) -> float:
    """Return the time that writing takes at all validations: a token after the other."""
    batches = -(-min(data.valid_rows, params.rouge_rows) // (2 * params.batch_size))
    tokens = batches * params.written(facts.config) * validations(params, data)
    return tokens * Shape.of(facts.config).decoder * WRITTEN_SECONDS


def validations(params: Seq2SeqParams, data: DataReport) -> float:
    """Return how often the validation rows are gone through, before the training included."""
    if not data.valid_rows or params.eval_strategy == "no":
        return 0.0
    rows = params.batch_size * params.gradient_accumulation
    return 1 + max(1.0, data.steps * rows / max(1, data.rows))
