"""The models that can be written: what llama.cpp calls them, their settings, and their weights.

To add one, add a line to `ARCHITECTURES` and one to `tests/test_gguf.py`, which proves it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from worker.errors import BadConfig

CONVERTER = (
    "llama.cpp's convert_hf_to_gguf.py may know it: hubtrain export … --merged gives it a whole "
    "model"
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """How one class of transformers is written."""

    name: str
    """llama.cpp's name of it."""

    changed: Callable[[str, torch.Tensor, Any], torch.Tensor] = lambda name, weights, config: (
        weights
    )
    """Returns a weight, by its name in transformers, as llama.cpp has it."""

    tied: bool = False
    """Whether the output layer is always the embedding, and so left out."""

    lacking: Callable[[Any], str] = lambda config: ""
    """Returns what of a config llama.cpp would not do; empty for nothing."""


def _rotated(name: str, weights: torch.Tensor, config: Any) -> torch.Tensor:
    """Put the halves that rotary positions pair side by side, as Llama was published."""
    heads = {
        "q_proj": config.num_attention_heads,
        "k_proj": config.num_key_value_heads,
    }.get(name.split(".")[-2])
    if heads is None:
        return weights
    paired = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return paired.swapaxes(1, 2).reshape(weights.shape)


def _shifted(name: str, weights: torch.Tensor, config: Any) -> torch.Tensor:
    """Add the 1 that Gemma adds to the weights of its norms while it computes."""
    return weights.float() + 1 if name.endswith("norm.weight") else weights


def _turned(name: str, weights: torch.Tensor, config: Any) -> torch.Tensor:
    """Turn the matrices that GPT-2 keeps the other way round."""
    turned = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
    return weights.T.contiguous() if turned else weights


def _window(config: Any) -> str:
    """Say that a window would be ignored where one is set and reached."""
    window = getattr(config, "sliding_window", None)
    reached = window is not None and window < config.max_position_embeddings
    return f"attention over the last {window} tokens only (sliding_window)" if reached else ""


def _every_fourth(config: Any) -> str:
    step = 4
    usual = [int((i + 1) % step != 0) for i in range(config.num_hidden_layers)]
    return "" if list(config.no_rope_layers) == usual else "no_rope_layers other than every fourth"


def _pattern(full: int) -> Callable[[Any], str]:
    """Say that layers look far in another order than every `full`th."""

    def unusual(config: Any) -> str:
        usual = [
            "sliding_attention" if (i + 1) % full else "full_attention"
            for i in range(config.num_hidden_layers)
        ]
        return "" if list(config.layer_types) == usual else "another order of layer_types"

    return unusual


ARCHITECTURES = {
    "LlamaForCausalLM": Architecture("llama", _rotated),
    "MistralForCausalLM": Architecture("llama", _rotated, lacking=_window),
    "SmolLM3ForCausalLM": Architecture("smollm3", _rotated, lacking=_every_fourth),
    "Qwen2ForCausalLM": Architecture("qwen2", lacking=_window),
    "Qwen3ForCausalLM": Architecture("qwen3", lacking=_window),
    "GemmaForCausalLM": Architecture("gemma", _shifted, tied=True),
    "Gemma2ForCausalLM": Architecture("gemma2", _shifted, tied=True, lacking=_pattern(2)),
    "Gemma3ForCausalLM": Architecture("gemma3", _shifted, tied=True, lacking=_pattern(6)),
    "Phi3ForCausalLM": Architecture("phi3", lacking=_window),
    "GPT2LMHeadModel": Architecture("gpt2", _turned, tied=True),
}
"""By the class that `config.json` names."""

_ROTARY = ("default", "linear", "yarn", "llama3", "longrope")
_ACTIVATIONS = ("silu", "gelu_pytorch_tanh", "gelu_new")


def architecture_of(config: Any, model: str) -> Architecture:
    """Return how a model is written. Raises `BadConfig` for what is not proven."""
    (named, *_) = config.architectures or [type(config).__name__]
    known = ARCHITECTURES.get(named)
    if known is None:
        names = ", ".join(sorted(name.removesuffix("ForCausalLM") for name in ARCHITECTURES))
        raise BadConfig(f"{model} is a {named}; GGUF is proven here for {names}.", fix=CONVERTER)
    activation = getattr(config, "hidden_activation", None) or getattr(
        config, "hidden_act", getattr(config, "activation_function", None)
    )
    kind = _rotary(config).get("rope_type", "default")
    lacking = known.lacking(config)
    if activation not in _ACTIVATIONS:
        lacking = f"the activation {activation}"
    if kind not in _ROTARY or (kind == "longrope" and known.name != "phi3"):
        lacking = f"positions of the type {kind}"
    if known.tied and not config.tie_word_embeddings:
        lacking = "an output layer beside its embeddings"
    if lacking:
        raise BadConfig(f"{model} has {lacking}, which is not proven in GGUF here.", fix=CONVERTER)
    return known


def _rotary(config: Any) -> dict[str, Any]:
    """Return the rotary positions of the layers that see everything."""
    said = getattr(config, "rope_parameters", None) or {}
    return dict(said.get("full_attention", said))


def describe(writer: Any, known: Architecture, config: Any) -> None:
    """Write a model's sizes and settings."""
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    inner = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None)
    writer.add_feed_forward_length(inner or 4 * config.hidden_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", None) or heads)
    writer.add_vocab_size(config.vocab_size)
    if hasattr(config, "rms_norm_eps"):
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    else:
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_key_length(size)
    writer.add_value_length(size)
    if rotary := _rotary(config):
        _describe_positions(writer, rotary, config, size)
    _describe_attention(writer, known, config)


def _describe_attention(writer: Any, known: Architecture, config: Any) -> None:
    """Write what only some models have: caps of what is attended to and said, a window."""
    if cap := getattr(config, "attn_logit_softcapping", None):
        writer.add_attn_logit_softcapping(cap)
    if cap := getattr(config, "final_logit_softcapping", None):
        writer.add_final_logit_softcapping(cap)
    if known.name in {"gemma2", "gemma3"}:
        writer.add_sliding_window(config.sliding_window)
    if known.name == "phi3":
        writer.add_sliding_window(0)
    nearby = (getattr(config, "rope_parameters", None) or {}).get("sliding_attention")
    if nearby:
        writer.add_rope_freq_base_swa(nearby["rope_theta"])


def _describe_positions(writer: Any, rotary: dict[str, Any], config: Any, size: int) -> None:
    from gguf import RopeScalingType

    writer.add_rope_dimension_count(int(size * rotary.get("partial_rotary_factor", 1.0)))
    writer.add_rope_freq_base(rotary["rope_theta"])
    begun = rotary.get("original_max_position_embeddings")
    kind = rotary.get("rope_type", "default")
    if kind in {"linear", "yarn"}:
        writer.add_rope_scaling_type(RopeScalingType(kind))
        writer.add_rope_scaling_factor(rotary["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(begun)
    if kind == "longrope":
        begun = begun or config.original_max_position_embeddings
        grown = config.max_position_embeddings / begun
        writer.add_rope_scaling_orig_ctx_len(begun)
        factor = math.sqrt(1 + math.log(grown) / math.log(begun)) if grown > 1 else 1.0
        writer.add_rope_scaling_attn_factors(factor)


def frequencies(config: Any) -> dict[str, torch.Tensor]:
    """Return the weights that say by how much each frequency of the positions is slowed."""
    rotary = _rotary(config)
    kind = rotary.get("rope_type")
    if kind == "longrope":
        return {
            f"rope_factors_{name}.weight": torch.tensor(rotary[f"{name}_factor"])
            for name in ("long", "short")
        }
    return {"rope_freqs.weight": _llama3(rotary, config)} if kind == "llama3" else {}


def _llama3(rotary: dict[str, Any], config: Any) -> torch.Tensor:
    """Return Llama 3's factors, from transformers' own frequencies with and without them."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    slowed, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    plain = torch.tensor(rotary["rope_theta"]) ** -(torch.arange(0, size, 2).float() / size)
    factors: torch.Tensor = plain / slowed
    return factors
