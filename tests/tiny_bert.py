"""Masked language models of 100 thousand parameters with a tokenizer, of several architectures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_WORDS = """
the quick brown fox jumps over lazy dog and says hello to every one who comes by
"""
WORDS = _WORDS.split()


def tokenizer() -> Any:
    """Return a tokenizer of letters and some words, as transformers knows it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(i) for i in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"##{letter}" for letter in letters), *WORDS]
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *words])}
    raw = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.add_special_tokens(SPECIAL)
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=raw, **dict(zip(names, SPECIAL, strict=True)))


def made(kind: str, **more: Any) -> Any:
    """Return a model of a kind that transformers knows, with random weights, always the same."""
    import torch
    from transformers import AutoConfig, AutoModelForMaskedLM

    sizes = {
        "vocab_size": len(tokenizer()),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    if kind == "distilbert":
        sizes |= {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 4}
    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(AutoConfig.for_model(kind, **{**sizes, **more}))


def write_model(folder: Path, kind: str = "bert", **more: Any) -> Path:
    """Write a model and its tokenizer; return `folder`."""
    tokenizer().save_pretrained(folder)
    made(kind, **more).save_pretrained(folder)
    return folder
