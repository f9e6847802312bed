"""A small BERT without a head, with a tokenizer made for some texts, and a training of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._job import run_on
from worker.contract import VALID, DataRef, Event, Metric
from worker.task import Task

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write_model(
    folder: Path, texts: Sequence[str], *, hidden: int = 128, layers: int = 3, words: int = 4000
) -> Path:
    """Write a model with random weights, always the same, and its tokenizer; return `folder`."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    raw = BertWordPieceTokenizer(lowercase=False)
    raw.train_from_iterator(texts, vocab_size=words, show_progress=False)
    vocabulary = raw.get_vocab()
    BertTokenizerFast(vocab=vocabulary, do_lower_case=False).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        max_position_embeddings=512,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON lines; return `file`."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def trained(task: Task[Any], model: Path, data: Path, **settings: Any) -> dict[str, float]:
    """Return what a training on `data` measures at its best, with `valid.jsonl` beside it."""
    how = {"model": str(model), "data_path": str(data), "valid_split": "valid", **settings}
    params = task.params(**how)
    events: list[Event] = []
    ref = DataRef(folder=str(data.parent), train=(data.name,), valid=("valid.jsonl",))
    run = replace(run_on(model, data, events.append), data=ref, headline=task.measures(params)[0])
    for folder in (run.output, run.work):
        folder.mkdir(parents=True, exist_ok=True)
    task.train(params, run)
    said = [e.values for e in events if isinstance(e, Metric) and run.headline.name in e.values]
    best = max(said, key=lambda values: values[run.headline.name])
    return {k.removeprefix(VALID): v for k, v in best.items() if k.startswith(VALID)}
