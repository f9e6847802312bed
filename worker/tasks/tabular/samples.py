"""Tiny tables to begin with: fruit to tell apart, and flats with their rents."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from worker.task import Sample

ROWS = 60
GAPS = 0.05
"""Share of some cells that nobody wrote down."""

FRUIT = {
    "apple": (150, ("red", "green", "yellow"), 0.9),
    "lemon": (100, ("yellow",), 0.4),
    "orange": (180, ("orange",), 0.3),
}
"""Grams, colours, and how smooth it is."""

PARTS = {"centre": 16.0, "harbour": 14.0, "hill": 11.0}
"""Rent of a square metre in each part of a town."""


def sample(given: Mapping[str, Any]) -> Sample:
    """Return classes or numbers to learn, with gaps as people's tables have them."""
    how = {"model": "xgboost", "num_trials": 5}
    if given.get("task") == "regression":
        rows = [_flat(random.Random(number)) for number in range(ROWS)]
        return Sample.of_rows("flats.csv", rows, target_columns="rent", **how)
    rows = [_fruit(number, random.Random(number)) for number in range(ROWS)]
    return Sample.of_rows("fruit.csv", rows, target_columns="fruit", **how)


def _fruit(number: int, chance: random.Random) -> dict[str, Any]:
    name = list(FRUIT)[number % len(FRUIT)]
    grams, colours, smooth = FRUIT[name]
    return {
        "grams": round(chance.gauss(grams, 25)),
        "colour": chance.choice(colours) if chance.random() > GAPS else "",
        "smoothness": round(min(1.0, max(0.0, chance.gauss(smooth, 0.15))), 2),
        "fruit": name,
    }


def _flat(chance: random.Random) -> dict[str, Any]:
    part, metres = chance.choice(list(PARTS)), chance.randint(25, 140)
    built = date(1950, 1, 1) + timedelta(days=chance.randint(0, 27_000))
    rent = metres * PARTS[part] * (0.8 + (built.year - 1950) / 300) + chance.gauss(0, 40)
    return {
        "square_metres": metres if chance.random() > GAPS else "",
        "part_of_town": part,
        "built": built.isoformat(),
        "rent": round(rent),
    }
