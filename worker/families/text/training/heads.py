"""A model of text with a new head, and its tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from worker.common import Memory
from worker.engine.adapter import adapt
from worker.engine.model import Loaded, load
from worker.engine.source import Source
from worker.errors import BadConfig


def tokenizer_of(source: Source, **how: Any) -> Any:
    """Return the model's tokenizer, which can pad. Raises `HubtrainError`."""
    tokenizer = source.processor(AutoTokenizer, **how)
    if tokenizer.pad_token_id is None:  # decoders often have none
        instead = tokenizer.eos_token or tokenizer.unk_token
        if instead is None:
            raise BadConfig(f"The tokenizer of {source.ref.name} has no token to pad with.")
        tokenizer.pad_token = instead
    return tokenizer


def with_head(source: Source, params: Memory, tokenizer: Any, kind: str, **labels: Any) -> Loaded:
    """Return the model with a head for `labels`, which are settings of its configuration.

    Where an adapter is asked for the head is trained whole beside it; `kind` is peft's name of what
    the model does: SEQ_CLS, TOKEN_CLS, QUESTION_ANS. A head of another size is replaced.
    """
    source = replace(source, more={**labels, "ignore_mismatched_sizes": True})
    loaded = load(source, params)
    for config in {id(c): c for c in (_config(loaded), loaded.model.config)}.values():
        config.pad_token_id = tokenizer.pad_token_id
    body = loaded.model.base_model
    parts = [(n, p) for n, p in loaded.model.named_children() if p is not body]
    head = [name for name, part in parts if any(part.state_dict())]
    return adapt(loaded, params, kind, modules_to_save=head)


def saving(tokenizer: Any, most: int) -> Any:
    """Return what saves a tokenizer beside its model, which sees no more than `most` tokens."""

    def save(folder: Path) -> None:
        tokenizer.model_max_length = most
        tokenizer.save_pretrained(folder)

    return save


def _config(loaded: Loaded) -> Any:
    return loaded.model.config.get_text_config()
