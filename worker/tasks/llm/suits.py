"""Whether a model is a causal language model, told by its `config.json` alone. Light.

transformers loads nearly anything as one: weights that are missing it makes up at random, and a
training on those succeeds and is worth nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from worker.errors import BadConfig
from worker.task import ModelFacts

_PREDICTS = re.compile(r"ForCausalLM$|LMHead")
"""In the name of a class that predicts the next token."""

_TEXT_TOO = """
dots3_note emu3 gemma3 gemma3n gemma4 gemma4_unified got_ocr2 llama4 mllama qwen3_5 qwen3_5_moe
qwen4_exp
"""
TEXT_TOO = frozenset(_TEXT_TOO.split())
"""Kinds made for pictures that transformers (5.23) also loads as models of text alone."""

_OTHER_KINDS = re.compile(
    r"bert|deberta|electra|funnel|fnet|mpnet|longformer|luke|esm|flaubert|nystromformer|t5|bart"
    r"|pegasus|marian|m2m|nllb|^led$|prophetnet|encoder-decoder|whisper|wav2vec|^vit|clip"
)
"""In the kind of a model that does something else, for a configuration that names no class."""


def suits(facts: ModelFacts) -> None:
    """Do nothing for a causal language model. Raises `BadConfig` for anything else."""
    if not _is_causal(facts.config):
        called = next(iter(_classes(facts.config)), facts.config.get("model_type"))
        raise BadConfig(
            f"{facts.name} is a {called}, which is no causal language model: it does not go on "
            "with a text.",
            fix="--model with one that does, such as Qwen/Qwen3-0.6B",
        )


def _is_causal(config: Mapping[str, Any]) -> bool:
    if config.get("is_encoder_decoder"):
        return False
    code = config.get("auto_map")
    if isinstance(code, Mapping) and "AutoModelForCausalLM" in code:
        return True
    kind, classes = str(config.get("model_type") or ""), _classes(config)
    if not classes:
        return bool(config.get("is_decoder")) or not _OTHER_KINDS.search(kind)
    if any(_PREDICTS.search(name) for name in classes):
        return True
    return kind in TEXT_TOO and any(n.endswith("ForConditionalGeneration") for n in classes)


def _classes(config: Mapping[str, Any]) -> list[str]:
    named = config.get("architectures")
    return [str(name) for name in named] if isinstance(named, list) else []
