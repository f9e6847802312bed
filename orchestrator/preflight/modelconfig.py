"""What a model's `config.json` must be for the check to reckon with it.

What is wrong with the numbers that tasks reckon with is told here once, and not by each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.errors import BadConfig
from worker.shorten import shortened

_NAMES = """
hidden_size n_embd d_model embed_dim head_dim intermediate_size n_inner ffn_dim vocab_size
num_hidden_layers n_layer num_layers num_attention_heads n_head num_heads num_key_value_heads
max_position_embeddings n_positions pad_token_id patch_size window_size depths hidden_sizes
"""
_COUNTS = frozenset(_NAMES.split())
"""Whole numbers, or lists of them, in whichever kind of model has them."""

_RATIO = "mlp_ratio"
_OBJECTS = ("text_config", "vision_config", "id2label")
_INNER = ("text_config", "vision_config")

LARGEST = 10**12
"""No size of a model is larger."""


def checked(config: Mapping[str, Any], called: str) -> None:
    """Do nothing for a `config.json` with numbers where numbers belong. Raises `BadConfig`."""
    for name, value in config.items():
        if value is None:
            continue
        if name in _OBJECTS and not isinstance(value, Mapping):
            raise _not(called, name, value, "object")
        if name == "id2label" and not all(key.isdecimal() for key in value):
            raise _not(called, name, value, "object with a number for each class")
        if name in _INNER:
            checked(value, called)
        elif (name in _COUNTS and not _is(value, whole=True)) or (
            name == _RATIO and not _is(value, whole=False)
        ):
            raise _not(called, name, value, "size")


def _is(value: Any, *, whole: bool) -> bool:
    """Whether a value is a number, or a list of numbers."""
    if isinstance(value, list):
        return bool(value) and all(_is(one, whole=whole) for one in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -1 <= value <= LARGEST and (not whole or value == int(value))


def _not(called: str, name: str, value: Any, what: str) -> BadConfig:
    said = shortened(repr(value))
    return BadConfig(f"{called} is broken: {name} is {said}, which is no {what}.")
