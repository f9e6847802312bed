"""The loss of a training as a picture for the model's card, drawn with Pillow.

A PNG, since the Hub shows one from the model's own repo. Without Pillow, which comes with the page
of a job, or without two points there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Point = tuple[float, float]

WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 48, 52
FINER = 2
"""Drawn so many times larger, and then made smaller: lines are smooth."""

LARGEST = 1e300
"""Larger values are not drawn: what lies between two of them is no number any more."""

COLOURS = ("#2563eb", "#ea580c", "#16a34a")
INK, GRID, PAPER = "#374151", "#e5e7eb", "#ffffff"
TICKS = 5


def draw(lines: Mapping[str, Sequence[Point]], file: Path) -> bool:
    """Draw values by step, each line under its name; whether there was anything to draw with."""
    finite = ((name, [p for p in points if abs(p[1]) < LARGEST]) for name, points in lines.items())
    kept = {name: points for name, points in finite if points}
    if sum(map(len, kept.values())) < 2 or find_spec("PIL") is None:  # noqa: PLR2004
        return False
    with drawing(list(kept.values()), file) as pen:
        pen.axes(f"step {pen.x1:,.0f}")
        for (name, points), colour in zip(kept.items(), COLOURS, strict=False):
            pen.line(name, points, colour)
    return True


@contextmanager
def drawing(lines: Sequence[Sequence[Point]], file: Path) -> Iterator[Pen]:
    """Give what draws a picture with room for all points of `lines`; it is then in `file`."""
    from PIL import Image, ImageDraw, ImageFont

    large = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), PAPER)
    yield Pen(ImageDraw.Draw(large), ImageFont.load_default(17 * FINER), lines)
    large.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(file, optimize=True)


class Pen:
    """Draws on the large picture, at places of values."""

    def __init__(self, pen: Any, font: Any, lines: Sequence[Sequence[Point]]) -> None:
        self.pen, self.font = pen, font
        xs = [x for line in lines for x, _ in line]
        ys = [y for line in lines for _, y in line]
        self.x0, self.x1 = min(xs), max(*xs, min(xs) + 1)
        self.step = _round_step((max(ys) - min(ys)) or abs(max(ys)) or 1.0)
        self.y0 = math.floor(min(ys) / self.step) * self.step
        top = math.ceil(max(ys) / self.step) * self.step
        self.y1 = max(top, self.y0 + self.step)
        self.named = float(LEFT)

    def at(self, x: float, y: float) -> Point:
        across = (x - self.x0) / (self.x1 - self.x0)
        up = (y - self.y0) / (self.y1 - self.y0)
        px = LEFT + across * (WIDTH - LEFT - RIGHT)
        return px * FINER, (TOP + (1 - up) * (HEIGHT - TOP - BOTTOM)) * FINER

    def axes(self, last: str) -> None:
        """Draw a line and a number at each round value, and the first and the `last` place."""
        digits = max(0, -math.floor(math.log10(self.step)))
        for n in range(round((self.y1 - self.y0) / self.step) + 1):
            y = self.y0 + n * self.step
            _, py = self.at(self.x0, y)
            self.pen.line([(LEFT * FINER, py), ((WIDTH - RIGHT) * FINER, py)], GRID, FINER)
            self.text((LEFT - 10) * FINER, py, f"{y:,.{digits}f}", INK, "rm")
        foot = (HEIGHT - BOTTOM + 20) * FINER
        self.text(LEFT * FINER, foot, f"{self.x0:,.0f}", INK, "lm")
        self.text((WIDTH - RIGHT) * FINER, foot, last, INK, "rm")

    def line(self, name: str, points: Sequence[Point], colour: str) -> None:
        """Draw a line, its points where they are few, and its name with its last value."""
        places = self.curve(points, colour)
        for x, y in places if len(places) <= 40 else places[-1:]:  # noqa: PLR2004
            self.pen.circle((x, y), 4 * FINER, fill=colour)
        self.label(f"{name} {points[-1][1]:.4g}", colour)

    def curve(self, points: Sequence[Point], colour: str) -> list[Point]:
        """Draw a line alone; return its points in the picture."""
        places = [self.at(*point) for point in points]
        if len(places) > 1:
            self.pen.line(places, colour, 3 * FINER, joint="curve")
        return places

    def label(self, said: str, colour: str) -> None:
        """Write a line's name above, beside those that stand there."""
        self.text(self.named * FINER, TOP / 2 * FINER, said, colour, "lm")
        self.named += self.length(said) + 28

    def length(self, said: str) -> float:
        """Return the width of a text, in pixels."""
        return float(self.pen.textlength(said, font=self.font)) / FINER

    def text(self, x: float, y: float, said: str, colour: str, anchor: str) -> None:
        self.pen.text((x, y), said, fill=colour, font=self.font, anchor=anchor)


def _round_step(span: float) -> float:
    """Return a round number of which about `TICKS` make up the span."""
    rough = span / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= rough * 0.999)
