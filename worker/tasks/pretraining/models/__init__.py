"""The models that can be built from nothing: a `config.json` each, and how many parameters it has.

llama_*: https://github.com/jiaweizzhao/GaLore, `configs/` (arXiv 2403.03507). gpt2 and roberta are
as their makers published them (openai-community/gpt2, FacebookAI/roberta-base).
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from worker.task import ModelFacts

HUB = {"gpt2": "openai-community/gpt2", "roberta": "FacebookAI/roberta-base"}
"""Where those that have been trained already are published."""

ROTARY = "llama"
"""Kind of model that counts positions without weights, and so sees as far as it is told."""


@cache
def _stored(name: str) -> str:
    return (files(__package__) / f"{name}.json").read_text("utf-8")


def config(name: str, length: int = 0) -> dict[str, Any]:
    """Return the `config.json` of a model that is to see `length` tokens, where it can."""
    found: dict[str, Any] = json.loads(_stored(name))
    if found["model_type"] == ROTARY:
        found["max_position_embeddings"] = max(length, found["max_position_embeddings"])
    return found


def sees(name: str) -> int | None:
    """Return the most tokens a model can see; none where that is up to the training."""
    found = config(name)
    if found["model_type"] == ROTARY:
        return None
    # RoBERTa numbers its positions from behind the id of padding, which is 1.
    return int(found.get("n_positions") or found["max_position_embeddings"] - 2)


def facts(name: str, length: int = 0) -> ModelFacts:
    """Return what the check needs to know of a model that is not there yet, in 32 bits."""
    found = config(name, length)
    return ModelFacts(name, parameters(found), 4.0, found)


def parameters(config: dict[str, Any]) -> int:
    """Return the number of parameters that a `config.json` makes."""
    if config["model_type"] == ROTARY:
        wide, inner = config["hidden_size"], config["intermediate_size"]
        layer = 4 * wide * wide + 3 * wide * inner + 2 * wide
        return int(2 * config["vocab_size"] * wide + config["num_hidden_layers"] * layer + wide)
    wide = config.get("n_embd") or config["hidden_size"]
    layers = config.get("n_layer") or config["num_hidden_layers"]
    positions = config.get("n_positions") or config["max_position_embeddings"]
    # Four matrices of attention and two of four times the width, their biases, and two norms.
    layer = 12 * wide * wide + 13 * wide
    words = (config["vocab_size"] + positions) * wide
    if config["model_type"] == "gpt2":
        return int(words + layers * layer + 2 * wide)
    head = wide * wide + 3 * wide + config["vocab_size"]
    return int(words + wide + 2 * wide + layers * layer + head)
