"""Jobs that train the tiny model of `tiny_bert`: on sentences that have a fox in them, or none."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import tiny_bert
from tiny_run import run_of

from worker.contract import Event, Metric
from worker.task import Run

ANIMALS = ("dog", "fox", "lazy")


def sentence(number: int) -> str:
    """Return some words, always the same for a number."""
    chance = random.Random(number)
    return " ".join(chance.choice(tiny_bert.WORDS) for _ in range(chance.randint(3, 24)))


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return texts, whether each has a fox, which animals it has, and how many times `the`."""
    found = []
    for number in range(first, first + count):
        words = sentence(number).split()
        found.append(
            {
                "text": " ".join(words),
                "label": "fox" if "fox" in words else "none",
                "animals": [name for name in ANIMALS if name in words],
                "count": 1000.0 + 50 * words.count("the"),
            }
        )
    return found


def write_rows(file: Path, found: list[dict[str, Any]]) -> Path:
    """Write JSON lines; return `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return file


def job(
    task: Any, model: Path, data: Path, folder: Path, *, valid: Path | None = None, **settings: Any
) -> tuple[Any, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    how = {"max_seq_length": 32, "lr": 3e-3, "batch_size": 8, "save_strategy": "no", **settings}
    params = task.params(model=str(model), data_path=str(data), **how)
    run, events = run_of(task, params, model, data, folder, valid=valid)
    run.output.mkdir(parents=True)
    return params, run, events


def told(events: list[Event], name: str) -> list[float]:
    """Return the values of a measurement in the order in which they were told."""
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]
