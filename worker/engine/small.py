"""A model of the same architecture, made small, with random weights: for trying a job.

Its layers have the names, kinds and vocabulary of the real one, so that adapters find their
modules, templates their tokens and files their loaders; its numbers mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PretrainedConfig

from worker.errors import HubtrainError

MOST_PARAMETERS = 500_000_000
"""Parameters that a small model may have: 2 GB in 32 bits."""

MOST_LAYERS = 8
"""Layers it has at most, where it takes so many to have one of each kind."""

LAYERS = (
    *("num_hidden_layers", "num_layers", "n_layers", "encoder_layers", "decoder_layers"),
    *("num_decoder_layers", "num_encoder_layers"),
)
WIDTHS = {
    **dict.fromkeys(("hidden_size", "d_model", "dim", "embedding_size", "word_embed_proj_dim"), 64),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "hidden_dim", "n_inner"), 128),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "moe_intermediate_size"), 128),
    **dict.fromkeys(("shared_expert_intermediate_size",), 128),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads",), 2),
    **dict.fromkeys(("head_dim", "d_kv", "kv_channels"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "experts_per_token"), 2),
}
"""Settings of width, by the names that configurations have for them, and how much of it is left."""


@dataclass(frozen=True, slots=True)
class Small:
    """What was made."""

    parameters: int
    before: Mapping[str, Any]
    """Settings that are smaller now, as they were."""


def make_small(folder: Path, output: Path, *, trust_remote_code: bool = False) -> Small:
    """Write a small model like the one whose `config.json` lies in `folder` into `output`.

    Only weights and configuration are written. Raises `HubtrainError` where no such model can be
    made, since its architecture ties its sizes in ways that are not known here.
    """
    problem: Exception | None = None
    for shrink in (_all_sizes, _fewer_layers):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        before = shrink(config)
        try:
            model = _made(config, folder, trust_remote_code=trust_remote_code)
            _computes(model)
            model.save_pretrained(output)
        except Exception as error:  # whatever a model's code raises over sizes that do not fit
            problem = error
            continue
        return Small(sum(p.numel() for p in model.parameters()), before)
    what = f"{type(problem).__name__}: {problem}"
    raise HubtrainError(f"no small model of this architecture could be made ({what}).")


def _made(config: PretrainedConfig, folder: Path, *, trust_remote_code: bool) -> Any:
    kind = _class_of(config, folder, trust_remote_code=trust_remote_code)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in kind(config).parameters())
    if parameters > MOST_PARAMETERS:
        raise ValueError(f"it would still have {parameters / 1e6:.0f} million parameters")
    torch.manual_seed(0)
    return kind(config).to(config.dtype or torch.float32)


def _class_of(config: PretrainedConfig, folder: Path, *, trust_remote_code: bool) -> Any:
    """Return the class that the configuration names. Raises `ValueError` where there is none."""
    named = (config.architectures or [""])[0]
    if (known := getattr(transformers, named, None)) is not None:
        return known
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    auto_map = getattr(config, "auto_map", None) or {}
    where = next((place for place in auto_map.values() if str(place).endswith(f".{named}")), None)
    if where is None or not trust_remote_code:
        raise ValueError(f"transformers has no {named or 'architecture of that name'}")
    return get_class_from_dynamic_module(where, folder)


def _computes(model: Any) -> None:
    """Raise whatever the model does when it sees one small example."""
    inputs = dict(model.dummy_inputs)
    if model.main_input_name == "pixel_values":
        vision = getattr(model.config, "vision_config", model.config)
        size = getattr(vision, "image_size", 224)
        side = size if isinstance(size, int) else max(size)
        inputs = {"pixel_values": torch.zeros(1, vision.num_channels, side, side)}
    inputs = {
        name: value.to(model.dtype) if value.is_floating_point() else value
        for name, value in inputs.items()
    }
    with torch.no_grad():
        model.eval()(**inputs)


def _configs(config: PretrainedConfig) -> Iterator[PretrainedConfig]:
    """Yield a configuration and those of its parts, as of the vision tower."""
    yield config
    for name in type(config).sub_configs:
        if isinstance(part := getattr(config, name, None), PretrainedConfig):
            yield from _configs(part)


def _all_sizes(config: PretrainedConfig) -> dict[str, Any]:
    def shrink(part: PretrainedConfig) -> dict[str, Any]:
        return {**_cut_layers(part), **_set(part, WIDTHS)}

    return _everywhere(config, shrink)


def _fewer_layers(config: PretrainedConfig) -> dict[str, Any]:
    return _everywhere(config, _cut_layers)


def _everywhere(
    config: PretrainedConfig, shrink: Callable[[PretrainedConfig], dict[str, Any]]
) -> dict[str, Any]:
    before: dict[str, Any] = {}
    for part in _configs(config):
        before = {**shrink(part), **before}
    return before


def _cut_layers(config: PretrainedConfig) -> dict[str, Any]:
    """Leave the first layers: two, or as many as it takes to have each kind of them."""
    kinds = [value for value in vars(config).values() if _is_listed(value, config)]
    needed = max([2, *(_until_all_seen(one) for one in kinds)])
    layers = min(needed, MOST_LAYERS)
    before = _set(config, dict.fromkeys(LAYERS, layers))
    for name, value in list(vars(config).items()):
        if any(value is one for one in kinds):
            setattr(config, name, value[:layers])
    return before


def _is_listed(value: object, config: PretrainedConfig) -> bool:
    """Whether a setting has one entry for each layer."""
    count = getattr(config, "num_hidden_layers", None)
    return isinstance(value, list) and len(value) == count and count > 1


def _until_all_seen(kinds: list[Any]) -> int:
    """Return how many of the first layers have among them every kind there is."""
    named = [str(kind) for kind in kinds]
    return max(named.index(kind) for kind in set(named)) + 1


def _set(config: PretrainedConfig, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Make what is larger than `sizes` as large; returns what was, by name."""
    before = {}
    for said, size in sizes.items():
        name = config.attribute_map.get(said, said)
        was = vars(config).get(name)
        if isinstance(was, int) and not isinstance(was, bool) and was > size:
            before[name] = was
            setattr(config, name, size)
    return before
