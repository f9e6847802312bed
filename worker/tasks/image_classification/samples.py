"""Tiny pictures to begin with: discs and squares of any colour."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from worker.png import Colour, png
from worker.task import Sample

EACH = 8
"""Pictures of each class."""

SIZE = 64
"""Pixels of a side."""


def sample() -> Sample:
    """Return a folder of pictures for each class, and settings that a laptop trains with."""
    files = {f"shapes/{name}/{n}.png": picture(name, n) for name in SHAPES for n in range(EACH)}
    settings = {"data_path": "shapes", "epochs": 3, "batch_size": 4, "valid_split": 0.25}
    return Sample(f"{next(iter(files))} (a folder for each class)", files, settings)


def picture(shape: str, number: int) -> bytes:
    """Return a picture of a shape, always the same for a number."""
    chance = random.Random(f"{shape} {number}")
    ground, ink = _colour(chance, 140, 255), _colour(chance, 0, 115)
    radius = chance.randint(SIZE // 6, SIZE // 4)
    x0, y0 = (chance.randint(radius, SIZE - radius) for _ in "xy")
    inside = SHAPES[shape]
    return png(SIZE, SIZE, lambda x, y: ink if inside(x - x0, y - y0, radius) else ground)


SHAPES: Mapping[str, Callable[[int, int, int], bool]] = {
    "disc": lambda x, y, radius: x * x + y * y <= radius * radius,
    "square": lambda x, y, radius: max(abs(x), abs(y)) <= radius,
}


def _colour(chance: random.Random, low: int, high: int) -> Colour:
    return chance.randint(low, high), chance.randint(low, high), chance.randint(low, high)
