"""What is saved with transformers 5 said so that transformers 4 understands it too.

Both read one folder, and neither complains of a key that it does not know: so the keys of 4 stand
beside those of 5, which knows them all and puts its own first. Found with 4.57.6 and 5.23: without
them a Llama 3 or a Qwen loads in 4 with the frequencies of another model, in silence, and a
tokenizer with more special tokens than the usual ones not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_NAMES: Mapping[str, Mapping[str, str]] = {
    "gpt_neox": {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"},
    "modernbert": {"rope_theta": "global_rope_theta", "rope_local_base_freq": "local_rope_theta"},
}
"""What kinds of models call these in transformers 4 where not as others do."""

_OURS_ALONE = ("backend", "is_local", "local_files_only")
"""Keys transformers 5 adds to a tokenizer's config that say nothing about the tokenizer."""


def model_for_both(folder: Path) -> None:
    """Add to a saved model's `config.json` what transformers 4 asks for."""
    _rewrite(folder / "config.json", _config)


def tokenizer_for_both(folder: Path, inputs: list[str]) -> None:
    """Let both make the same `inputs` of a text: transformers 4 may have other names for a class.

    `inputs` are the tokenizer's `model_input_names`.
    """

    def mended(config: dict[str, Any]) -> dict[str, Any]:
        if config.get("tokenizer_class") == "TokenizersBackend":
            config["tokenizer_class"] = "PreTrainedTokenizerFast"
        more = config.get("extra_special_tokens")
        if isinstance(more, list):  # there, a mapping of names
            config["additional_special_tokens"] = config.pop("extra_special_tokens")
        return {n: v for n, v in config.items() if n not in _OURS_ALONE} | {
            "model_input_names": inputs
        }

    _rewrite(folder / "tokenizer_config.json", mended)


def _rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    config = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """Return a model's config, and those of its parts, with the keys of transformers 4."""
    parts = {n: _config(v) for n, v in config.items() if n.endswith("_config") and _is_dict(v)}
    older = _rotary(config.get("rope_parameters") or {}, str(config.get("model_type")))
    if "num_local_experts" in config:
        older["num_experts"] = config["num_local_experts"]
    if "dtype" in config:
        older["torch_dtype"] = config["dtype"]  # until 4.55
    return dict(sorted({**older, **config, **parts}.items()))


def _rotary(said: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the frequencies of rotary positions as transformers 4 has them.

    A model with layers of two kinds has two sets of them.
    """
    everywhere = said.get("full_attention", said)
    nearby = said.get("sliding_attention")
    scaling = dict(everywhere)
    found = {n: scaling.pop(n) for n in ("rope_theta", "partial_rotary_factor") if n in scaling}
    if scaling.get("rope_type") == "longrope":  # Phi-3, which takes these three alone
        factors = {name: scaling[name] for name in ("short_factor", "long_factor")}
        found["rope_scaling"] = {"type": "longrope", **factors}
    elif scaling.get("rope_type", "default") != "default":
        found["rope_scaling"] = scaling
    if nearby:
        found["rope_local_base_freq"] = nearby["rope_theta"]
    return {_NAMES.get(kind, {}).get(name, name): value for name, value in found.items()}


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)
