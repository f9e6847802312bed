"""Where a model errs, as a picture for its card, drawn with Pillow.

A task draws one while it trains, once the rows that judge have been told of: `confusion` for one
class each, `matrix` for counts of another kind, `scatter` for numbers. It is left beside the model
as `JUDGED_FILE`, where the card finds it. Without Pillow, which comes with the page of a job, there
is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from worker.picture import COLOURS, FINER, GRID, INK, PAPER, WIDTH, Pen
from worker.picture import HEIGHT as LOW
from worker.shorten import shortened
from worker.splits import in_order

JUDGED_FILE = "judged.png"

MOST = 16
"""Classes that are shown; of more, the commonest, and all others as one."""

OTHERS = "all others"
POINTS = 2000
"""Most points that are drawn: evenly taken of more."""

NAMES, HEAD, SIDE = 190, 74, 46
"""Pixels of the names at the left, of the names above, and of a cell."""

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


def scatter(points: Mapping[str, Sequence[tuple[float, float]]], folder: Path) -> None:
    """Draw what is true (across) and what is said (up), by name, and where both are the same."""
    if find_spec("PIL") is None or not any(points.values()):
        return
    from PIL import Image, ImageDraw, ImageFont

    shown = {name: all_[:: -(-len(all_) // POINTS)] for name, all_ in points.items() if all_}
    ends = [value for all_ in shown.values() for point in all_ for value in point]
    line = [(min(ends), min(ends)), (max(ends), max(ends))]
    large = Image.new("RGB", (WIDTH * FINER, LOW * FINER), PAPER)
    pen = Pen(ImageDraw.Draw(large), ImageFont.load_default(17 * FINER), [line])
    pen.x1 = max(*ends, min(ends) + 1e-9)
    pen.axes(f"true {pen.x1:,.4g}")
    pen.pen.line([pen.at(*end) for end in line], GRID, 3 * FINER)
    for (name, all_), colour in zip(shown.items(), COLOURS, strict=False):
        for point in all_:
            pen.pen.circle(pen.at(*point), 3 * FINER, outline=colour, width=FINER)
        pen.label(f"predicted {shortened(name, LETTERS)}", colour)
    large.resize((WIDTH, LOW), Image.Resampling.LANCZOS).save(folder / JUDGED_FILE, optimize=True)


def _shade(share: float) -> str:
    """Return the colour of a share: from a light grey to the blue of the curves."""
    low, high = (243, 244, 246), tuple(int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5))
    mixed: list[Any] = [round(a + (b - a) * share) for a, b in zip(low, high, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)
