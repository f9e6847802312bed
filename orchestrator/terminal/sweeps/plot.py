"""A few values over their numbers as text, for a terminal: `●` a value, `·` the best so far."""

from __future__ import annotations

from collections.abc import Sequence

HEIGHT = 7
LEAST = 3
"""Values that make a picture."""


def plot(
    points: Sequence[tuple[int, float]], *, higher: bool, width: int = 60, height: int = HEIGHT
) -> list[str]:
    """Return the lines of a picture of values, in the order they came; none of too few.

    `higher`: whether larger values are better.
    """
    if len(points) < LEAST:
        return []
    low, high = min(v for _, v in points), max(v for _, v in points)
    span = (high - low) or 1.0
    columns = min(width, 2 * len(points) - 1)
    rows = [[" "] * columns for _ in range(height)]

    def row(value: float) -> int:
        return round((high - value) / span * (height - 1))

    best = points[0][1]
    values = [value for _, value in points]
    for column in range(columns):
        value = values[round(column * (len(values) - 1) / max(1, columns - 1))]
        best = max(best, value) if higher else min(best, value)
        rows[row(best)][column] = "·"
    for place, value in enumerate(values):
        rows[row(value)][round(place * (columns - 1) / (len(values) - 1))] = "●"
    labels = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    room = max(map(len, labels))
    lines = [
        f"{label:>{room}} ┤{''.join(cells).rstrip()}"
        for label, cells in zip(labels, rows, strict=True)
    ]
    first, last = points[0][0], points[-1][0]
    ends = f"t{first}" + f"t{last}".rjust(max(1, columns - len(f"t{first}")))
    return [*lines, f"{'':>{room}}  {ends}"]
