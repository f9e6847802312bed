"""Encoders and decoders of 100 thousand parameters with a tokenizer, and jobs that train them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tiny_run import run_of

from worker.contract import Event
from worker.task import Run
from worker.tasks.seq2seq import TASK
from worker.tasks.seq2seq.params import Seq2SeqParams

SPECIAL = ["<pad>", "</s>", "<unk>"]
_NOUNS = "dog cat fox cow hen owl bee ant rat pig"
_VERBS = "sees hears likes finds meets"
NOUNS, VERBS = _NOUNS.split(), _VERBS.split()
_OTHERS = "the a what does who is that in morning evening and rain sun comes"
WORDS = [*NOUNS, *VERBS, *_OTHERS.split(), "."]


def tokenizer() -> Any:
    """Return a tokenizer of whole words that ends each text with `</s>`, as T5's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*SPECIAL, *WORDS])}, "<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.add_special_tokens(SPECIAL)
    raw.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    names = ("pad_token", "eos_token", "unk_token")
    return PreTrainedTokenizerFast(tokenizer_object=raw, **dict(zip(names, SPECIAL, strict=True)))


def write_model(folder: Path, kind: str = "t5", **more: Any) -> Path:
    """Write a model of a kind with random weights, always the same, and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    tokenizer().save_pretrained(folder)
    sizes: dict[str, Any] = {"vocab_size": len(WORDS) + 8, "d_model": 64}
    if "t5" in kind:
        sizes |= {"d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "n_positions": 64}
    else:
        layers = {"layers": 2, "attention_heads": 4, "ffn_dim": 128}
        sides = ("encoder", "decoder")
        sizes |= {f"{side}_{name}": value for side in sides for name, value in layers.items()}
        sizes |= {"max_position_embeddings": 64, "max_encoder_position_embeddings": 64}
        sizes |= {"max_decoder_position_embeddings": 64, "attention_window": 8, "bos_token_id": 0}
        sizes |= {"forced_eos_token_id": None, "forced_bos_token_id": None}
    ends = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    torch.manual_seed(0)
    made = AutoConfig.for_model(kind, **{**sizes, **ends, "dropout_rate": 0.0, **more})
    AutoModelForSeq2SeqLM.from_config(made).save_pretrained(folder)
    return folder


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return sentences with something beside the point, and what is left without that."""
    chance, found = random.Random(seed), []
    for _ in range(count):
        said = f"the {chance.choice(NOUNS)} {chance.choice(VERBS)} the {chance.choice(NOUNS)}"
        before = chance.choice(["in the morning rain comes and", "in the evening", "sun comes and"])
        found.append({"text": f"{before} {said} .", "target": said})
    return found


def job(
    model: Path, data: Path, folder: Path, *, valid: Path | None = None, **settings: Any
) -> tuple[Seq2SeqParams, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    small = {"lr": 3e-3, "batch_size": 8, "max_seq_length": 32, "max_target_length": 12}
    params = TASK.params(model=str(model), data_path=str(data), **{**small, **settings})
    run, events = run_of(TASK, params, model, data, folder, valid=valid)
    return params, run, events
