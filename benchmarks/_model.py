"""A small Llama with a tokenizer and texts of uneven length, made on the spot."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from worker.task import ModelFacts

TEXT = "the model learns what a person wrote and answers as that person would have done it"
WORDS = TEXT.split(" ")


def write_model(folder: Path, *, hidden: int, layers: int, vocabulary: int) -> Path:
    """Write a Llama with random 16-bit weights and a byte-level tokenizer; return `folder`."""
    from transformers import LlamaConfig

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64 or 1,
        num_key_value_heads=hidden // 64 or 1,
        max_position_embeddings=4096,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return write(folder, config)


def write(folder: Path, config: Any, device: str = "cpu") -> Path:
    """Write the model of a config, its weights drawn on `device`, with the tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    write_tokenizer(folder)
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer that has a token for each of our words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    raw.train_from_iterator(
        [TEXT] * 3,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=special[0], pad_token=special[0]
    )
    tokenizer.save_pretrained(folder)


def write_data(file: Path, documents: int, longest: int = 400) -> Path:
    """Write texts of 5 to `longest` words, the short ones more often; return `file`."""
    chance = random.Random(0)
    with file.open("w", encoding="utf-8") as out:
        for _ in range(documents):
            words = chance.choices(WORDS, k=5 + int((longest - 5) * chance.random() ** 3))
            out.write(json.dumps({"text": " ".join(words)}) + "\n")
    return file


def write_pairs(file: Path, pairs: int) -> Path:
    """Write prompts of 10 to 160 words, each with two answers of 5 to 250; return `file`."""
    chance = random.Random(0)

    def words(least: int, more: int) -> str:
        return " ".join(chance.choices(WORDS, k=least + int(more * chance.random() ** 2)))

    with file.open("w", encoding="utf-8") as out:
        for _ in range(pairs):
            answers = {name: f" {words(5, 245)}" for name in ("chosen", "rejected")}
            out.write(json.dumps({"prompt": words(10, 150), **answers}) + "\n")
    return file


def facts_of(model: Path) -> ModelFacts:
    """Return what the estimates are told of a model."""
    from safetensors import safe_open

    config = json.loads((model / "config.json").read_text())
    count = 0
    for file in model.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                shape = weights.get_slice(name).get_shape()
                size = 1
                for side in shape:
                    size *= side
                count += size
    return ModelFacts(str(model), count, 2.0, config)
