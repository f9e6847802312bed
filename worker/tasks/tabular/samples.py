"""A tiny table to begin with: fruit, by weight, colour and peel."""

from __future__ import annotations

import random
from typing import Any

from worker.task import Sample

ROWS = 60
GAPS = 0.05
"""Share of the colours that nobody wrote down."""

FRUIT = {
    "apple": (150, ("red", "green", "yellow"), 0.9),
    "lemon": (100, ("yellow",), 0.4),
    "orange": (180, ("orange",), 0.3),
}
"""Grams, colours, and how smooth it is."""


def sample() -> Sample:
    """Return fruit to tell apart, with gaps as people's tables have them."""
    rows = [_row(number, random.Random(number)) for number in range(ROWS)]
    return Sample.of_rows("fruit.csv", rows, target_columns="fruit", model="xgboost", num_trials=5)


def _row(number: int, chance: random.Random) -> dict[str, Any]:
    name = list(FRUIT)[number % len(FRUIT)]
    grams, colours, smooth = FRUIT[name]
    return {
        "grams": round(chance.gauss(grams, 25)),
        "colour": chance.choice(colours) if chance.random() > GAPS else "",
        "smoothness": round(min(1.0, max(0.0, chance.gauss(smooth, 0.15))), 2),
        "fruit": name,
    }
