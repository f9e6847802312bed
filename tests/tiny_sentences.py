"""Pairs and triplets of sentences in which letters tell what belongs together, and their jobs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import tiny_bert
from tiny_llm import write_rows
from tiny_run import run_of

from worker.contract import Event
from worker.task import Run
from worker.tasks.sentence_transformers import TASK
from worker.tasks.sentence_transformers.params import SentenceParams

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def write_model(folder: Path) -> Path:
    """Write a BERT with random weights; return `folder`."""
    return tiny_bert.write_model(folder)


def rows(trainer: str, count: int) -> list[dict[str, Any]]:
    """Return rows for a trainer, always the same, with columns as the library's data sets have."""
    chance = random.Random(0)
    return [_row(trainer, i, chance) for i in range(count)]


def _row(trainer: str, i: int, chance: random.Random) -> dict[str, Any]:
    one, two, three = chance.sample(LETTERS, 3)
    first, same = f"the {one} {two} fox", f"dog {two} {one} hello"
    half, other = f"lazy {one} over", f"dog {three} {chance.choice(LETTERS)} hello"
    if trainer == "pair":
        return {"anchor": first, "positive": same}
    if trainer == "qa":
        return {"query": first, "answer": same}
    if trainer == "triplet":
        return {"anchor": first, "positive": same, "negative": other}
    second = (same, half, other)[i % 3]
    if trainer == "pair_class":
        return {"premise": first, "hypothesis": second, "label": i % 3 + 1}
    return {"sentence1": first, "sentence2": second, "score": (5.0, 2.5, 0.0)[i % 3]}


def job(
    model: Path, folder: Path, trainer: str, **settings: Any
) -> tuple[SentenceParams, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    folder.mkdir(parents=True, exist_ok=True)
    data = write_rows(folder / "rows.jsonl", rows(trainer, 240))
    small = {"lr": 1e-3, "batch_size": 16, "max_seq_length": 16, "epochs": 3}
    how = {**small, "trainer": trainer, **settings}
    params = TASK.params(model=str(model), data_path=str(data), **how)
    run, events = run_of(TASK, params, model, data, folder)
    return params, run, events
