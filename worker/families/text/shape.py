"""The sizes of a model of text, by its `config.json`: what its cost depends on. Light."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COUNTS_FROM_PADDING = re.compile(
    "roberta|camembert|data2vec-text|ibert|longformer|luke|mpnet|xmod"
)
"""Kinds of models whose first token stands at the position behind the padding token's id."""

ENDLESS = 10**9
"""Tokens that a model can see which names no number of positions."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a transformer that cost depends on."""

    hidden: int
    layers: int
    inner: int
    vocabulary: int
    attention: int
    """Width of queries, keys and values together."""

    cached: int = 0
    """Width of keys and values, which are kept of each token while an answer is written."""

    heads: int = 16

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Return the sizes in a `config.json`, by any of the names architectures give them."""
        config = config.get("text_config") or config

        def first(*names: str, default: int) -> int:
            said = next((config[n] for n in names if config.get(n)), default)
            return int(max(said) if isinstance(said, list) else said)  # of each layer its own

        hidden = first("hidden_size", "n_embd", "d_model", "dim", default=2048)
        heads = first("num_attention_heads", "n_head", "num_heads", "n_heads", default=16)
        head = first("head_dim", default=max(1, hidden // heads))
        groups = first("num_key_value_heads", default=heads)
        inner = ("intermediate_size", "n_inner", "ffn_dim", "hidden_dim", "d_inner", "d_ff")
        layers = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers")
        return cls(
            hidden=hidden,
            layers=first(*layers, default=24),
            inner=first(*inner, "encoder_ffn_dim", default=4 * hidden),
            vocabulary=first("vocab_size", default=50_000),
            attention=head * (heads + 2 * groups),
            cached=2 * head * groups,
            heads=heads,
        )

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Sides of the linear layers of a decoder's block: queries, keys and values as one."""
        attention = ((self.attention, self.hidden), (self.hidden, self.hidden))
        return (*attention, *((self.inner, self.hidden),) * 3)

    @property
    def adapted(self) -> int:
        """Sum over the linear layers of their inputs and outputs: a LoRA of rank 1 has as many."""
        each = 2 * self.hidden + self.attention + self.hidden + 3 * (self.hidden + self.inner)
        return self.layers * (each + 2 * self.hidden)


def positions(config: Mapping[str, Any]) -> int:
    """Return how many tokens a model with this `config.json` can see."""
    config = config.get("text_config") or config
    named = config.get("max_position_embeddings") or config.get("n_positions")
    if not isinstance(named, int) or named < 1:  # XLNet says -1
        return ENDLESS
    if _COUNTS_FROM_PADDING.search(str(config.get("model_type"))):
        return named - (config.get("pad_token_id") or 0) - 1
    return named
