"""Tiny pictures to begin with: discs and squares of any colour."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worker.png import Colour, png

SIZE = 64
"""Pixels of a side."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture of a shape, and where it is."""

    content: bytes
    x: int
    y: int
    radius: int
    """Half the width and height, in pixels."""


def picture(shape: str, number: int) -> Drawn:
    """Return a picture of a shape, always the same for a number."""
    chance = random.Random(f"{shape} {number}")
    ground, ink = _colour(chance, 140, 255), _colour(chance, 0, 115)
    radius = chance.randint(SIZE // 6, SIZE // 4)
    x0, y0 = (chance.randint(radius, SIZE - radius) for _ in "xy")
    inside = SHAPES[shape]
    drawn = png(SIZE, SIZE, lambda x, y: ink if inside(x - x0, y - y0, radius) else ground)
    return Drawn(drawn, x0, y0, radius)


SHAPES: Mapping[str, Callable[[int, int, int], bool]] = {
    "disc": lambda x, y, radius: x * x + y * y <= radius * radius,
    "square": lambda x, y, radius: max(abs(x), abs(y)) <= radius,
}


def _colour(chance: random.Random, low: int, high: int) -> Colour:
    return chance.randint(low, high), chance.randint(low, high), chance.randint(low, high)
