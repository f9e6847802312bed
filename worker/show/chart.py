"""A line chart as one small piece of SVG: no script, nothing loaded, readable on a phone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 24
MOST_POINTS = 160
SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 96, 24, 48
LARGEST = 1e300
"""Larger values are not drawn: what lies between two of them is no number any more."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """Values by step, under a name; one without a name has its chart's."""

    name: str
    points: list[Point]


def chart(title: str, lines: Sequence[Line], *, numbered: bool = False) -> str:
    """Return a figure of `lines` over the steps; one that says so where nothing is measured yet.

    A line has the colour of its place among those that have points, or `numbered` among all.
    """
    drawn = [(n, Line(line.name, _finite(line.points))) for n, line in enumerate(lines)]
    kept = [(n, line) for n, line in drawn if line.points]
    if not numbered:
        kept = list(enumerate(line for _, line in kept))
    named = "".join(_legend(number, line) for number, line in kept)
    caption = f"<figcaption>{escape(title)}{named}</figcaption>"
    if not kept:
        return f'<figure>{caption}<p class="none">nothing measured yet</p></figure>'
    return f"<figure>{caption}{_svg(title, kept)}</figure>"


def spark(points: Sequence[Point], said: str) -> str:
    """Return a line as small as a word, without axes; `said` is read aloud in its place."""
    kept = thinned(_finite(list(points)), SPARK_POINTS)
    if len(kept) < 2:  # noqa: PLR2004
        return ""
    (x0, *_, x1), ys = [x for x, _ in kept], [y for _, y in kept]
    low, high = min(ys), max(ys)
    places = " ".join(
        f"{(x - x0) / ((x1 - x0) or 1) * SPARK_WIDTH:.1f},"
        f"{2 + (1 - (y - low) / ((high - low) or 1)) * (SPARK_HEIGHT - 4):.1f}"
        for x, y in kept
    )
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img"'
        f' aria-label="{escape(said)}"><polyline class="line0" points="{places}"/></svg>'
    )


def thinned(points: list[Point], most: int = MOST_POINTS) -> list[Point]:
    """Return at most about so many points; each stands for the mean of its neighbours' values."""
    every = math.ceil(len(points) / most)
    if every <= 1:
        return points
    groups = (points[i : i + every] for i in range(0, len(points), every))
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def _svg(title: str, lines: Sequence[tuple[int, Line]]) -> str:
    xs = [x for _, line in lines for x, _ in line.points]
    ys = [y for _, line in lines for _, y in line.points]
    box = _Box(min(xs), max(xs), *_padded(min(ys), max(ys)))
    drawn = "".join(box.path(number, thinned(line.points)) for number, line in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{box.axes()}{drawn}</svg>"
    )


@dataclass(frozen=True, slots=True)
class _Box:
    """Where values lie on the picture."""

    x0: float
    x1: float
    y0: float
    y1: float

    def at(self, x: float, y: float) -> str:
        across = (x - self.x0) / ((self.x1 - self.x0) or 1)
        up = (y - self.y0) / (self.y1 - self.y0)
        px = LEFT + across * (WIDTH - LEFT - RIGHT)
        return f"{px:.1f},{TOP + (1 - up) * (HEIGHT - TOP - BOTTOM):.1f}"

    def path(self, number: int, points: list[Point]) -> str:
        places = " ".join(self.at(x, y) for x, y in points)
        line = f'<polyline class="line{number}" points="{places}"/>'
        x, y = self.at(*points[-1]).split(",")
        return f'{line}<circle class="line{number}" cx="{x}" cy="{y}" r="3"/>'

    def axes(self) -> str:
        rows = []
        for y in (self.y0, (self.y0 + self.y1) / 2, self.y1):
            py = self.at(self.x0, y).split(",")[1]
            rows.append(f'<path d="M{LEFT},{py}H{WIDTH - RIGHT}"/>')
            said = _tick(y, self.y1 - self.y0)
            rows.append(f'<text x="{LEFT - 6}" y="{py}" dy="4" text-anchor="end">{said}</text>')
        ends = ((LEFT, "start", self.x0), (WIDTH - RIGHT, "end", self.x1))
        rows += [
            f'<text x="{px}" y="{HEIGHT - 6}" text-anchor="{anchor}">{x:,.0f}</text>'
            for px, anchor, x in ends
        ]
        return "".join(rows)


def _legend(number: int, line: Line) -> str:
    name = f"{escape(line.name)} " if line.name else ""
    return f'<span class="line{number}">{name}{_said(line.points[-1][1])}</span>'


def _padded(low: float, high: float) -> Point:
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (low if low >= 0 and low - margin < 0 else low - margin), high + margin


def _tick(value: float, span: float) -> str:
    """Return a value with the digits that tell it from others on an axis so long."""
    digits = max(0, 1 - math.floor(math.log10(span)))
    small = abs(value) < 0.01 and digits > 3  # noqa: PLR2004
    return _said(value) if small else f"{value:,.{digits}f}"


def _said(value: float) -> str:
    if abs(value) >= 1000:  # noqa: PLR2004
        return f"{value:,.0f}"
    if 0 < abs(value) < 0.01:  # noqa: PLR2004
        return f"{value:.1e}".replace("e-0", "e-")
    return f"{value:.3g}"


def _finite(points: list[Point]) -> list[Point]:
    return [(x, y) for x, y in points if abs(y) < LARGEST]
