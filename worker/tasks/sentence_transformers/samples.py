"""Tiny data to begin with, for each trainer: sentences of where animals are."""

from __future__ import annotations

from typing import Any

from worker.task import Sample
from worker.tasks.sentence_transformers.params import Trainer

PLACES = {
    "on the roof": ("at the top of the house", "under the ground"),
    "in the water": ("where it is wet", "in the desert"),
    "in the garden": ("among the flowers", "inside the house"),
    "by the fire": ("where it is warm", "in the snow"),
}
"""A place, the same place in other words, and another place."""

ANIMALS = ("cat", "dog", "hen", "frog", "mouse", "fox")


def sample(trainer: Trainer) -> Sample:
    """Return rows for a trainer."""
    rows = [row for animal in ANIMALS for place in PLACES for row in _rows(trainer, animal, place)]
    return Sample.of_rows(f"{trainer}.csv", rows, model="microsoft/mpnet-base")


def _rows(trainer: Trainer, animal: str, place: str) -> list[dict[str, Any]]:
    same, not_there = PLACES[place]
    first, alike, other = (f"The {animal} is {where}." for where in (place, same, not_there))
    pair = {"sentence1": first, "sentence2": alike}
    unlike = {"sentence1": first, "sentence2": other}
    rows: dict[Trainer, list[dict[str, Any]]] = {
        "pair": [{"anchor": first, "positive": alike}],
        "triplet": [{"anchor": first, "positive": alike, "negative": other}],
        "qa": [{"query": f"Which animal is {place} with the {animal}?", "answer": alike}],
        "pair_score": [{**pair, "score": 1.0}, {**unlike, "score": 0.0}],
        "pair_class": [{**pair, "label": "same"}, {**unlike, "label": "not"}],
    }
    return rows[trainer]
