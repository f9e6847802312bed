"""What a model's `config.json` must be for the check to reckon with it.

What is wrong with the numbers that tasks reckon with is told here once, and not by each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

_WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "encoder_attention_heads")
_POSITIVE = frozenset((*_WIDTHS, *_HEADS))
"""Sizes of which there is at least one in any model that has them."""

_OF_A_HEAD = ("head_dim", "head_size", "d_head", "d_kv", "kv_channels", "embedding_size")
"""What is in the names of sizes that tell the width of a head: then heads need not share the
model's own."""

_OF_NO_PART = frozenset({"quantization_config", "backbone_config", "generation_config"})
"""Configurations beside which the sizes are those of the model itself."""

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
        elif name in _POSITIVE and _is(value, whole=True) and not _each_positive(value):
            said = shortened(repr(value))
            raise BadConfig(f"{called} is broken: {name} is {said}, and is at least 1.")
        elif (name in _COUNTS and not _is(value, whole=True)) or (
            name == _RATIO and not _is(value, whole=False)
        ):
            raise _not(called, name, value, "size")


def agrees(config: Mapping[str, Any], called: str, shapes: Collection[Sequence[int]]) -> None:
    """Do nothing for sizes that can be of one model. Raises `BadConfig`.

    `shapes` are those of its tensors, as far as they are known. Of a model of several parts, each
    with a configuration of its own, what is said of the whole tells nothing.
    """
    if any(name.endswith("_config") and name not in _OF_NO_PART for name in config):
        return
    width, heads = (_first(config, names) for names in (_WIDTHS, _HEADS))
    if width and heads and width[1] % heads[1] and not _tells_heads(config):
        raise BadConfig(
            f"{called} contradicts itself: {width[0]} {width[1]} cannot be shared by"
            f" {heads[1]} heads ({heads[0]})."
        )
    sides = {side for shape in shapes for side in shape}
    if width and sides and width[1] not in sides:
        raise BadConfig(
            f"{called} is of another model than the weights: {width[0]} is {width[1]}, and no"
            " tensor has such a side."
        )


def _tells_heads(config: Mapping[str, Any]) -> bool:
    return any(part in name for name, value in config.items() if value for part in _OF_A_HEAD)


def _first(config: Mapping[str, Any], names: Sequence[str]) -> tuple[str, int] | None:
    """Return the first of the sizes that is there and its value; none where it is a list."""
    found = next(((name, config[name]) for name in names if config.get(name)), None)
    return found if found and isinstance(found[1], int) else None


def _is(value: Any, *, whole: bool) -> bool:
    """Whether a value is a number, or a list of numbers."""
    if isinstance(value, list):
        return bool(value) and all(_is(one, whole=whole) for one in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -1 <= value <= LARGEST and (not whole or value == int(value))


def _each_positive(value: Any) -> bool:
    return all(one > 0 for one in (value if isinstance(value, list) else [value]))


def _not(called: str, name: str, value: Any, what: str) -> BadConfig:
    said = shortened(repr(value))
    return BadConfig(f"{called} is broken: {name} is {said}, which is no {what}.")
