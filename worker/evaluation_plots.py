"""Where a model errs, as a picture for its card, drawn with Pillow.

A task draws one while it trains, once the rows that judge have been told of: `confusion` for one
class each, `matrix` for counts of another kind, `scatter` for numbers, `curves` for how often what
is found is right. They are left beside the model as `PICTURES` are called, where the card finds
them. Without Pillow, which comes with the page of a job, there are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

from worker.picture import COLOURS, FINER, GRID, INK, PAPER, RIGHT, WIDTH, Point, drawing
from worker.shorten import shortened
from worker.splits import in_order

JUDGED_FILE, CURVE_FILE = "judged.png", "precision_recall.png"
PICTURES = {
    JUDGED_FILE: "What the model says of validation rows, and what is true",
    CURVE_FILE: "Precision over recall on validation rows",
}
"""The files, and what is on them in words."""

MOST = 16
"""Classes that are shown; of more, the commonest, and all others as one."""

OTHERS = "all others"
POINTS = 2000
"""Most points that are drawn: evenly taken of more."""

NAMES, HEAD, SIDE = 190, 74, 46
"""Pixels of the names at the left, of the names above, and of a cell."""

MANY_COLOURS = (*COLOURS, "#9333ea", "#0891b2", "#be185d")
"""Of curves, of which more are grey."""

LETTERS = 20
DARK = 0.55
"""Share of a row from which on its cell is so dark that its number is white."""


def confusion(said: Iterable[str], true: Iterable[str], folder: Path) -> None:
    """Draw how often each class was said of rows of each, into `JUDGED_FILE`."""
    pairs = Counter(zip(true, said, strict=True))
    common = Counter(name for pair in pairs.elements() for name in pair)
    names = in_order(common)
    if len(names) > MOST:
        names = (*in_order(name for name, _ in common.most_common(MOST - 1)), OTHERS)
    counts = [[0] * len(names) for _ in names]
    place = {name: i for i, name in enumerate(names)}
    for (one, other), count in pairs.items():
        counts[place.get(one, len(names) - 1)][place.get(other, len(names) - 1)] += count
    matrix(counts, names, names, folder, ("is", "says"))


def matrix(
    counts: Sequence[Sequence[int]],
    rows: Sequence[str],
    columns: Sequence[str],
    folder: Path,
    about: tuple[str, str] = ("", ""),
) -> None:
    """Draw counts as cells that are darker the larger their share of the row."""
    if find_spec("PIL") is None:
        return
    from PIL import Image, ImageDraw, ImageFont

    wide = max(SIDE, 8 * max(len(shortened(name, LETTERS)) for name in columns) + 16)
    size = (NAMES + wide * len(columns) + 16, HEAD + SIDE * len(rows) + 16)
    large = Image.new("RGB", (size[0] * FINER, size[1] * FINER), PAPER)
    pen, font = ImageDraw.Draw(large), ImageFont.load_default(15 * FINER)

    def write(x: float, y: float, text: str, anchor: str, colour: str = INK) -> None:
        pen.text((x * FINER, y * FINER), text, fill=colour, font=font, anchor=anchor)

    write(NAMES - 12, HEAD / 2, " / ".join(filter(None, about)), "rm")
    for j, name in enumerate(columns):
        write(NAMES + wide * (j + 0.5), HEAD / 2, shortened(name, LETTERS), "mm")
    for i, (name, row) in enumerate(zip(rows, counts, strict=True)):
        write(NAMES - 12, HEAD + SIDE * (i + 0.5), shortened(name, LETTERS), "rm")
        for j, count in enumerate(row):
            share = count / (sum(row) or 1)
            x, y = NAMES + wide * j, HEAD + SIDE * i
            box = [x * FINER, y * FINER, (x + wide - 2) * FINER, (y + SIDE - 2) * FINER]
            pen.rectangle(box, fill=_shade(share))
            colour = PAPER if share > DARK else INK
            write(x + wide / 2 - 1, y + SIDE / 2 - 1, f"{count:,}", "mm", colour)
    large.resize(size, Image.Resampling.LANCZOS).save(folder / JUDGED_FILE, optimize=True)


def scatter(points: Mapping[str, Sequence[Point]], folder: Path, *, same_unit: bool = True) -> None:
    """Draw what is true (across) and what is said (up), by name.

    Of the `same_unit` they are right on a line, which is drawn too.
    """
    finite = {name: [p for p in all_ if all(map(isfinite, p))] for name, all_ in points.items()}
    shown = {name: _some(all_) for name, all_ in finite.items() if all_}
    if find_spec("PIL") is None or not shown:
        return
    drawn = [point for all_ in shown.values() for point in all_]
    across, up = ([point[side] for point in drawn] for side in (0, 1))
    ends = across + up if same_unit else across
    line = [(min(ends), min(ends)), (max(ends), max(ends))]
    with drawing([line] if same_unit else [drawn], folder / JUDGED_FILE) as pen:
        pen.x1 = max(*ends, min(ends) + 1e-9)
        pen.axes(f"true {pen.x1:,.4g}")
        if same_unit:
            pen.pen.line([pen.at(*end) for end in line], GRID, 3 * FINER)
        for (name, all_), colour in zip(shown.items(), COLOURS, strict=False):
            for point in all_:
                pen.pen.circle(pen.at(*point), 3 * FINER, outline=colour, width=FINER)
            pen.label(f"predicted {shortened(name, LETTERS)}", colour)


def curves(lines: Mapping[str, Sequence[Point]], folder: Path, about: str = "precision") -> None:
    """Draw precision (up) over recall (across), each line by a name that tells how good it is.

    `about` says what is up. Lines whose names find no place are grey.
    """
    shown = {name: _some(all_) for name, all_ in lines.items() if all_}
    if find_spec("PIL") is None or not shown:
        return
    with drawing([[(0.0, 0.0), (1.0, 1.0)]], folder / CURVE_FILE) as pen:
        pen.axes("recall 1")
        pen.label(about, INK)
        colours = dict.fromkeys(shown, GRID)
        for name, colour in zip(shown, MANY_COLOURS, strict=False):
            if pen.named + pen.length(name) > WIDTH - RIGHT:
                break
            pen.label(name, colour)
            colours[name] = colour
        for name in reversed(shown):  # the first lies above the others
            pen.curve(shown[name], colours[name])


def _some(points: Sequence[Point]) -> Sequence[Point]:
    """Return points, evenly taken where they are too many, the last one among them."""
    step = -(-len(points) // POINTS)
    return points if step == 1 else [*points[::step], points[-1]]


def _shade(share: float) -> str:
    """Return the colour of a share: from a light grey to the blue of the curves."""
    low, high = (243, 244, 246), tuple(int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5))
    mixed: list[Any] = [round(a + (b - a) * share) for a, b in zip(low, high, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)
